//! The window without a display: a harness around it, and states to draw.
#![allow(dead_code, reason = "each test file uses its own part")]

pub mod circuit_pictures;
pub mod circuits;
pub mod directions;
pub mod fixture;
pub mod labelling;
pub mod reading;
pub mod shifts;
pub mod soft;
pub mod steering;
pub mod tasks;
pub mod verdicts;

use egui::{Theme, Vec2};
use egui_kittest::Harness;
use soft::SoftRenderer;
use sparsescope::app::{RunOptions, Sparsescope};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A window of this size over a workspace of its own.
pub fn window(
    workspace: &Path,
    size: Vec2,
    density: f32,
    theme: Theme,
) -> Harness<'static, Sparsescope> {
    let options = RunOptions { workspace: Some(workspace.to_owned()), ..RunOptions::default() };
    Harness::builder()
        .with_size(size)
        .with_pixels_per_point(density)
        .with_theme(theme)
        .with_render_cursor(false)
        .with_max_steps(60)
        .with_step_dt(0.1)
        .renderer(SoftRenderer::default())
        .build_eframe(move |cc| Sparsescope::new(&cc.egui_ctx, options))
}

/// Steps until `done`, at most for so long.
pub fn wait(
    harness: &mut Harness<'_, Sparsescope>,
    what: &str,
    seconds: u64,
    done: impl Fn(&Sparsescope) -> bool,
) {
    let since = Instant::now();
    loop {
        harness.step();
        if done(harness.state()) {
            return;
        }
        assert!(since.elapsed() < Duration::from_secs(seconds), "waited too long for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The folder of golden values.
pub fn golden() -> PathBuf {
    std::env::var_os("SPARSESCOPE_GOLDEN").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden"),
        PathBuf::from,
    )
}

/// A path as the system hands it over when it is dropped.
#[derive(Debug)]
pub struct Dropped(pub PathBuf);

impl egui::DroppedFile for Dropped {
    fn path(&self) -> &Path {
        &self.0
    }

    fn bytes(&self) -> Result<Vec<u8>, String> {
        Err("the window opens paths itself".to_owned())
    }
}

/// Drops `path` on the window.
pub fn drop_on(harness: &mut Harness<'_, Sparsescope>, path: &Path) {
    harness.input_mut().dropped_files.push(std::sync::Arc::new(Dropped(path.to_owned())));
    harness.step();
}
