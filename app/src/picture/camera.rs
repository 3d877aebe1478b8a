//! Keeps the shapes of one frame.

use egui::epaint::ClippedShape;
use egui::{Context, FullOutput, Plugin, RawInput, Rect};
use std::path::PathBuf;

/// The shapes of one frame, or of a part of it.
#[derive(Debug, Clone)]
pub struct Taken {
    /// In the order they are drawn.
    pub shapes: Vec<ClippedShape>,
    /// The part that is to be seen.
    pub rect: Rect,
    /// Pixels a point of the screen that they were made for.
    pub density: f32,
}

/// Waits for a frame and keeps its shapes.
#[derive(Debug, Default)]
pub struct Camera {
    aimed: Option<(Option<Rect>, PathBuf)>,
    taking: Option<(Option<Rect>, PathBuf)>,
    taken: Vec<(Taken, PathBuf)>,
}

impl Plugin for Camera {
    fn debug_name(&self) -> &'static str {
        "camera"
    }

    fn input_hook(&mut self, _ctx: &Context, _input: &mut RawInput) {
        if let Some(aimed) = self.aimed.take() {
            self.taking = Some(aimed);
        }
    }

    fn output_hook(&mut self, ctx: &Context, output: &mut FullOutput) {
        if let Some((rect, path)) = self.taking.take() {
            let rect = rect.unwrap_or_else(|| ctx.content_rect());
            let density = output.pixels_per_point;
            self.taken.push((Taken { shapes: output.shapes.clone(), rect, density }, path));
            ctx.request_repaint();
        }
    }
}

/// Takes a picture of the next frame, or of a part of it, for the file `path`.
pub fn aim(ctx: &Context, rect: Option<Rect>, path: PathBuf) {
    ctx.plugin_or_default::<Camera>().lock().aimed = Some((rect, path));
    ctx.request_repaint();
}

/// Whether the frame that is being drawn will be a picture.
pub fn is_taking(ctx: &Context) -> bool {
    ctx.with_plugin::<Camera, _>(|camera| camera.taking.is_some()).unwrap_or(false)
}

/// The pictures that were taken and are not yet saved.
pub fn developed(ctx: &Context) -> Vec<(Taken, PathBuf)> {
    ctx.with_plugin::<Camera, _>(|camera| std::mem::take(&mut camera.taken)).unwrap_or_default()
}
