//! `bench map`: the time that the direction map takes of a frame.

use super::report::Report;
use clap::Args;
use egui::{CentralPanel, Color32, Context, Event, PointerButton, Pos2, RawInput, Rect, vec2};
use serde_json::json;
use sparsescope::theme;
use sparsescope::widgets::point_cloud::{Cloud, Look, point_cloud};
use sparsescope_core::Result;
use std::time::Instant;

/// The direction map: time a frame, layout and tessellation together
#[derive(Args, Clone)]
#[command(after_help = "\
What a graphics card then does is not counted: the same work is done without a window.

Example:
  sparsescope bench map --points 65536 --json")]
pub struct MapArgs {
    /// Points on the map
    #[arg(long, default_value_t = 65_536, value_name = "N")]
    points: usize,
    /// Frames of each kind
    #[arg(long, default_value_t = 200, value_name = "N")]
    frames: usize,
}

/// What happens during the measured frames.
#[derive(Clone, Copy, PartialEq)]
enum Doing {
    /// The pointer moves over the map.
    Hovering,
    /// The map is moved: every frame shows another part.
    Moving,
}

/// Measures.
///
/// # Errors
/// None.
pub fn run(args: &MapArgs) -> Result<Report> {
    let hovering = measure(args, Doing::Hovering);
    let moving = measure(args, Doing::Moving);
    let figures = |times: &[f64]| json!({ "median_ms": at(times, 0.5), "p95_ms": at(times, 0.95), "max_ms": at(times, 1.0) });
    let json = json!({
        "points": args.points,
        "frames": args.frames,
        "hovering": figures(&hovering),
        "moving": figures(&moving),
    });
    let line = |name: &str, times: &[f64]| {
        format!(
            "{name}: median {:.2} ms, 95 % within {:.2} ms, at most {:.2} ms\n",
            at(times, 0.5),
            at(times, 0.95),
            at(times, 1.0)
        )
    };
    let text = format!("A frame with {} points\n", args.points)
        + &line("pointer moves over it", &hovering)
        + &line("map is moved", &moving);
    Report::new(&json, text)
}

/// A quantile of ascending times.
pub(super) fn at(times: &[f64], share: f64) -> f64 {
    let last = times.len().saturating_sub(1);
    times.get((last as f64 * share).round() as usize).copied().unwrap_or(0.0)
}

/// Milliseconds of each frame, ascending.
fn measure(args: &MapArgs, doing: Doing) -> Vec<f64> {
    let ctx = Context::default();
    theme::install(&ctx);
    let size = vec2(1600.0, 1000.0);
    let points: Vec<[f32; 2]> = (0..args.points)
        .map(|i| {
            let (a, r) = (i as f32 * 2.399_963, (i as f32 + 0.5).sqrt());
            [r * a.cos(), r * a.sin()]
        })
        .collect();
    let mut cloud = Cloud::default();
    cloud.set(&points, 1);
    let colors: Vec<Color32> =
        (0..args.points).map(|i| theme::of(true).on_ramp((i % 97) as f32 / 96.0)).collect();
    let look =
        Look { colors: &colors, found: &[], selected: &[], version: 0, lasso: false, said: "" };
    let middle = Pos2::ZERO + size / 2.0;
    let mut times = Vec::with_capacity(args.frames);
    // A few to warm up: fonts, the theme, the press that begins a drag.
    for frame in 0..args.frames + 5 {
        let turn = frame as f32 * 0.21;
        let pointer = middle + vec2(turn.cos(), turn.sin()) * 220.0;
        let mut events = vec![Event::PointerMoved(pointer)];
        if frame == 2 && doing == Doing::Moving {
            events.push(Event::PointerButton {
                pos: pointer,
                button: PointerButton::Primary,
                pressed: true,
                modifiers: egui::Modifiers::NONE,
            });
        }
        let input = RawInput {
            screen_rect: Some(Rect::from_min_size(Pos2::ZERO, size)),
            time: Some(frame as f64 / 60.0),
            events,
            ..RawInput::default()
        };
        let begun = Instant::now();
        let mut output = ctx.run_ui(input, |ui| {
            CentralPanel::no_frame().show(ui, |ui| {
                point_cloud(ui, &mut cloud, &look, size);
            });
        });
        let shapes = std::mem::take(&mut output.shapes);
        let drawn = ctx.tessellate(shapes, output.pixels_per_point);
        let took = begun.elapsed().as_secs_f64() * 1e3;
        std::hint::black_box(drawn);
        output.textures_delta.clear();
        if frame >= 5 {
            times.push(took);
        }
    }
    times.sort_by(f64::total_cmp);
    times
}
