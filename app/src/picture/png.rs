//! An SVG of ours as PNG, by the program's own fonts.

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::fontdb::{Database, Source};
use resvg::usvg::{Options, Tree};
use sparsescope_core::{Error, Result};
use std::io::Cursor;
use std::sync::{Arc, OnceLock};

/// Most pixels along a side.
const MOST: u32 = 16_384;

/// The picture as PNG, `scale` pixels a point.
///
/// # Errors
/// The SVG is none, or it is too large.
pub fn to_png(svg: &str, scale: f32) -> Result<Vec<u8>> {
    let failed = |why: String| Error::internal("The picture could not be drawn", why);
    let options =
        Options { fontdb: fonts(), font_family: "Inter".to_owned(), ..Options::default() };
    let tree = Tree::from_str(svg, &options).map_err(|e| failed(e.to_string()))?;
    let side = |points: f32| (points * scale).round() as u32;
    let (width, height) = (side(tree.size().width()), side(tree.size().height()));
    if width > MOST || height > MOST {
        return Err(Error::setting(
            format!("A picture of {width} by {height} pixels is too large"),
            format!("a side has at most {MOST}"),
            "Make the window smaller, or save it as SVG",
        ));
    }
    let mut pixels = Pixmap::new(width, height)
        .ok_or_else(|| failed(format!("{width} by {height} pixels are no picture")))?;
    resvg::render(&tree, Transform::from_scale(scale, scale), &mut pixels.as_mut());
    let plain = pixels.pixels().iter().flat_map(|p| {
        let c = p.demultiply();
        [c.red(), c.green(), c.blue(), c.alpha()]
    });
    let image = image::RgbaImage::from_raw(width, height, plain.collect())
        .ok_or_else(|| failed("its pixels do not fit its size".to_owned()))?;
    let mut png = Cursor::new(Vec::new());
    image.write_to(&mut png, image::ImageFormat::Png).map_err(|e| failed(e.to_string()))?;
    Ok(png.into_inner())
}

/// The fonts of the window, and no others: the picture is the same on every machine.
fn fonts() -> Arc<Database> {
    static FONTS: OnceLock<Arc<Database>> = OnceLock::new();
    let load = || {
        let mut fonts = Database::new();
        for bytes in crate::fonts::files() {
            fonts.load_font_source(Source::Binary(Arc::new(bytes)));
        }
        fonts.set_sans_serif_family("Inter");
        fonts.set_monospace_family("JetBrains Mono");
        Arc::new(fonts)
    };
    FONTS.get_or_init(load).clone()
}
