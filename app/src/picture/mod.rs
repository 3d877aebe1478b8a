//! Pictures of plots and screens as SVG and PNG.
//!
//! A frame of the window is a list of shapes. [`Camera`] keeps those of one frame, [`to_svg`]
//! writes them as an SVG with real text, and [`to_png`] draws that SVG with the program's own
//! fonts. A panel that draws many shapes as one mesh asks [`is_taking`] and then draws them as
//! shapes.

mod camera;
mod png;
mod svg;
mod text;

#[cfg(test)]
mod tests;

pub use camera::{Camera, Taken, aim, developed, is_taking};
pub use png::to_png;
pub use svg::to_svg;

use sparsescope_core::{Error, IoContext as _, Result};
use std::io::Write as _;
use std::path::Path;

/// Pixels a point in a PNG.
pub const SCALE: f32 = 2.0;

/// Writes a picture to `path`: as PNG if its name ends so, else as SVG. A file that was there
/// stays whole until the new one is.
///
/// # Errors
/// The file cannot be written, or the picture cannot be drawn.
pub fn save(taken: &Taken, path: &Path) -> Result<()> {
    let svg = to_svg(taken);
    let png = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("png"));
    let bytes = if png { to_png(&svg, SCALE)? } else { svg.into_bytes() };
    let name = path.file_name().ok_or_else(|| {
        Error::setting(
            format!("A picture cannot be saved as {}", path.display()),
            "that is no name of a file",
            "Name a file that ends in .svg or .png",
        )
    })?;
    let mut beside = name.to_owned();
    beside.push(".new");
    let beside = path.with_file_name(beside);
    let written = std::fs::File::create(&beside).and_then(|mut file| {
        file.write_all(&bytes)?;
        file.sync_all()?;
        std::fs::rename(&beside, path)
    });
    if written.is_err() {
        // Half a picture is in the way.
        let _ = std::fs::remove_file(&beside);
    }
    written.doing(|| format!("Could not write {}", path.display()))
}
