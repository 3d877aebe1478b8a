//! Each shape, the text, and whether the SVG is one.

use super::*;
use egui::epaint::{
    BandPoint, BandShape, ClippedShape, CubicBezierShape, EllipseShape, PathShape, PathStroke,
    QuadraticBezierShape, RectShape, TextShape,
};
use egui::{
    Align2, Color32, Context, CornerRadius, FontId, Mesh, Pos2, Rect, Shape, Stroke, StrokeKind,
    pos2, vec2,
};
use resvg::usvg::roxmltree::Document;

fn taken(shapes: Vec<Shape>) -> Taken {
    let rect = Rect::from_min_size(Pos2::ZERO, vec2(200.0, 100.0));
    let clip = Rect::EVERYTHING;
    let shapes = shapes.into_iter().map(|s| ClippedShape::new(clip, s)).collect();
    Taken { shapes, rect, density: 1.0 }
}

/// The picture at one pixel a point, and the SVG it was drawn from.
fn drawn(shapes: Vec<Shape>) -> (image::RgbaImage, String) {
    let svg = to_svg(&taken(shapes));
    Document::parse(&svg).unwrap();
    let png = to_png(&svg, 1.0).unwrap();
    (image::load_from_memory(&png).unwrap().to_rgba8(), svg)
}

const RED: Color32 = Color32::from_rgb(255, 0, 0);
const BLUE: Color32 = Color32::from_rgb(0, 0, 255);

fn at(picture: &image::RgbaImage, x: u32, y: u32) -> [u8; 4] {
    picture.get_pixel(x, y).0
}

const R: [u8; 4] = [255, 0, 0, 255];
const B: [u8; 4] = [0, 0, 255, 255];
const NONE: [u8; 4] = [0; 4];

#[test]
fn rectangles_have_corners_fill_and_a_stroke_on_its_side() {
    let rect = Rect::from_min_max(pos2(10.0, 10.0), pos2(60.0, 50.0));
    for (kind, outside, edge) in [(StrokeKind::Inside, NONE, B), (StrokeKind::Outside, B, R)] {
        let shape = RectShape::new(rect, 0, RED, Stroke::new(4.0, BLUE), kind);
        let (picture, svg) = drawn(vec![shape.into()]);
        assert!(svg.contains("<rect"), "{svg}");
        assert_eq!((at(&picture, 30, 30), at(&picture, 8, 30)), (R, outside));
        assert_eq!(at(&picture, 12, 30), edge);
    }
    let round = CornerRadius { nw: 20, ne: 0, sw: 0, se: 0 };
    let (picture, svg) = drawn(vec![RectShape::filled(rect, round, RED).into()]);
    assert!(svg.contains("<path"));
    assert_eq!((at(&picture, 11, 11), at(&picture, 58, 11), at(&picture, 11, 48)), (NONE, R, R));
    let (picture, svg) = drawn(vec![RectShape::filled(rect, 20, RED).into()]);
    assert!(svg.contains("rx=\"20\""));
    assert_eq!((at(&picture, 11, 11), at(&picture, 58, 48), at(&picture, 35, 30)), (NONE, NONE, R));
    let mut soft = RectShape::filled(rect, 0, RED);
    soft.blur_width = 10.0;
    let (picture, _) = drawn(vec![soft.into()]);
    let edge = at(&picture, 10, 30)[3];
    assert!((90..=165).contains(&edge), "{edge}");
    assert!(at(&picture, 35, 30)[3] > 250);
}

#[test]
fn circles_ellipses_lines_and_paths() {
    let (picture, _) = drawn(vec![
        Shape::circle_filled(pos2(30.0, 50.0), 15.0, RED),
        EllipseShape::filled(pos2(90.0, 50.0), vec2(30.0, 8.0), BLUE).into(),
        Shape::line_segment([pos2(130.0, 20.0), pos2(190.0, 20.0)], Stroke::new(3.0, RED)),
        Shape::convex_polygon(
            vec![pos2(140.0, 40.0), pos2(180.0, 40.0), pos2(160.0, 80.0)],
            BLUE,
            Stroke::NONE,
        ),
    ]);
    assert_eq!((at(&picture, 30, 50), at(&picture, 30, 30)), (R, NONE));
    assert_eq!((at(&picture, 116, 50), at(&picture, 90, 62)), (B, NONE));
    assert_eq!((at(&picture, 160, 20), at(&picture, 160, 26)), (R, NONE));
    assert_eq!((at(&picture, 160, 50), at(&picture, 142, 70)), (B, NONE));
    let line = vec![pos2(10.0, 90.0), pos2(50.0, 10.0), pos2(90.0, 90.0)];
    let (picture, svg) = drawn(vec![PathShape::line(line, PathStroke::new(4.0, RED)).into()]);
    assert!(svg.contains("<polyline") && svg.contains("fill=\"none\""));
    assert_eq!((at(&picture, 30, 50), at(&picture, 50, 60)), (R, NONE));
    let band = [(10.0, 20.0..=40.0), (60.0, 10.0..=80.0)];
    let band = band.map(|(x, y)| BandPoint::new(x, y)).to_vec();
    let (picture, _) = drawn(vec![BandShape::filled(band, RED).into()]);
    assert_eq!((at(&picture, 55, 70), at(&picture, 15, 70)), (R, NONE));
}

#[test]
fn curves_are_curves() {
    let ends = [pos2(10.0, 90.0), pos2(190.0, 90.0)];
    let pen = PathStroke::new(4.0, RED);
    let curve = QuadraticBezierShape {
        points: [ends[0], pos2(100.0, -70.0), ends[1]],
        closed: false,
        fill: Color32::TRANSPARENT,
        stroke: pen.clone(),
    };
    let (picture, svg) = drawn(vec![curve.into()]);
    assert!(svg.contains('Q'));
    // In its middle it is at a quarter of each end and half of the control point: y = 10.
    assert_eq!((at(&picture, 100, 10), at(&picture, 100, 50)), (R, NONE));
    let curve = CubicBezierShape {
        points: [ends[0], pos2(40.0, -30.0), pos2(160.0, -30.0), ends[1]],
        closed: false,
        fill: Color32::TRANSPARENT,
        stroke: pen,
    };
    let (picture, svg) = drawn(vec![curve.into()]);
    assert!(svg.contains('C'));
    assert_eq!((at(&picture, 100, 0), at(&picture, 100, 50)), (R, NONE));
}

#[test]
fn meshes_become_rectangles_and_triangles() {
    let mut mesh = Mesh::default();
    mesh.add_colored_rect(Rect::from_min_max(pos2(10.0, 10.0), pos2(50.0, 50.0)), RED);
    for at in [pos2(100.0, 10.0), pos2(140.0, 10.0), pos2(120.0, 60.0)] {
        mesh.colored_vertex(at, BLUE);
    }
    mesh.add_triangle(4, 5, 6);
    let (picture, svg) = drawn(vec![Shape::mesh(mesh)]);
    assert_eq!((svg.matches("<rect").count(), svg.matches("<polygon").count()), (1, 1));
    assert_eq!((at(&picture, 48, 12), at(&picture, 120, 30)), (R, B));
    assert_eq!(at(&picture, 104, 50), NONE);
}

#[test]
fn what_is_clipped_or_outside_is_not_seen() {
    let all = Rect::from_min_max(pos2(-50.0, -50.0), pos2(400.0, 400.0));
    let clip = Rect::from_min_max(pos2(20.0, 20.0), pos2(60.0, 60.0));
    let mut picture = taken(vec![]);
    picture.shapes.push(ClippedShape::new(clip, RectShape::filled(all, 0, RED)));
    let far = Rect::from_min_max(pos2(300.0, 0.0), pos2(310.0, 10.0));
    picture.shapes.push(ClippedShape::new(Rect::EVERYTHING, RectShape::filled(far, 0, BLUE)));
    let svg = to_svg(&picture);
    assert!(svg.contains("clip-path=\"url(#c0)\"") && !svg.contains("#0000ff"));
    let png = to_png(&svg, 2.0).unwrap();
    let drawn = image::load_from_memory(&png).unwrap().to_rgba8();
    assert_eq!(drawn.dimensions(), (400, 200));
    assert_eq!((at(&drawn, 44, 44), at(&drawn, 36, 44)), (R, NONE));
}

fn text(said: &str, font: FontId) -> TextShape {
    let ctx = Context::default();
    ctx.set_fonts(crate::fonts::definitions());
    let mut shape = None;
    let mut output = ctx.run_ui(egui::RawInput::default(), |ui| {
        let galley = ui.painter().layout_no_wrap(said.to_owned(), font.clone(), RED);
        let place = Align2::LEFT_TOP.anchor_size(pos2(10.0, 20.0), galley.size());
        shape = Some(TextShape::new(place.min, galley, RED));
    });
    output.textures_delta.clear();
    shape.unwrap()
}

#[test]
fn text_is_text_whatever_it_says() {
    let said = "a<b> & \"c\" 'd' ]]> é 钥匙 🗝 \u{1}";
    let svg = to_svg(&taken(vec![text(said, FontId::proportional(14.0)).into()]));
    let xml = Document::parse(&svg).unwrap();
    let texts: Vec<_> = xml.descendants().filter(|n| n.has_tag_name("text")).collect();
    // A character of another font may stand in a text of its own; each has its places.
    let mut told = String::new();
    for text in &texts {
        let part = text.text().unwrap();
        let xs = text.attribute("x").unwrap().split(' ').count();
        assert_eq!(xs, part.chars().count(), "{part:?}");
        told += part;
    }
    let letters = |text: &str| text.replace(' ', "");
    let wanted = letters("a<b> & \"c\" 'd' ]]> é 钥匙 🗝");
    assert!(letters(&told).starts_with(&wanted), "{told:?}");
    assert!(texts[0].attribute("font-family").unwrap().starts_with("Inter"));
    assert_eq!(texts[0].attribute("font-size"), Some("14"));
    let mono = to_svg(&taken(vec![text("0", FontId::monospace(12.0)).into()]));
    assert!(mono.contains("JetBrains Mono"));
    let strong = FontId::new(12.0, crate::theme::strong_family());
    assert!(to_svg(&taken(vec![text("0", strong).into()])).contains("font-weight=\"600\""));
}

#[test]
fn text_is_drawn_where_the_window_has_it() {
    let shape = text("HHHH HHHH", FontId::proportional(30.0));
    // The window's glyphs have a pixel of nothing around them.
    let bounds = shape.visual_bounding_rect().shrink(1.0);
    let (picture, _) = drawn(vec![shape.into()]);
    let mut ink = Rect::NOTHING;
    for (x, y, pixel) in picture.enumerate_pixels() {
        if pixel.0[3] > 128 {
            ink.extend_with(pos2(x as f32, y as f32));
            ink.extend_with(pos2(x as f32 + 1.0, y as f32 + 1.0));
        }
    }
    for (a, b) in [
        (ink.left(), bounds.left()),
        (ink.right(), bounds.right()),
        (ink.top(), bounds.top()),
        (ink.bottom(), bounds.bottom()),
    ] {
        assert!((a - b).abs() <= 1.1, "{ink:?} {bounds:?}");
    }
}

#[test]
fn a_file_is_written_whole_and_named_by_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let picture = taken(vec![Shape::circle_filled(pos2(30.0, 50.0), 15.0, RED)]);
    for name in ["a.svg", "b.PNG"] {
        let path = dir.path().join(name);
        std::fs::write(&path, "before").unwrap();
        save(&picture, &path).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(bytes.starts_with(b"\x89PNG"), name == "b.PNG");
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
    let nowhere = dir.path().join("no/such/folder.svg");
    assert_eq!(save(&picture, &nowhere).unwrap_err().kind, sparsescope_core::ErrorKind::Io);
}
