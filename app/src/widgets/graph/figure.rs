//! The graph alone as a picture for a page: light, with a title and a legend.

use super::{Canvas, Graph, Kind, Look, Palettes, graph, mesh};
use crate::picture::{self, Taken};
use crate::theme::{self, size};
use egui::{
    Align2, CentralPanel, Context, FontId, Painter, Pos2, RawInput, Rect, Shape, Stroke, Theme,
    Vec2, pos2, vec2,
};
use std::path::PathBuf;

/// Height of title and legend.
const ABOVE: f32 = 58.0;
const BELOW: f32 = 52.0;

/// A graph with what has to be said of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Figure {
    /// The graph.
    pub graph: Graph,
    /// What it is of.
    pub title: String,
    /// How it was made, in a line.
    pub caption: String,
    /// Width and height in points; a sensible size if zero.
    pub size: [f32; 2],
}

/// Draws the figure without a window.
pub fn draw(figure: &Figure) -> Option<Taken> {
    let size = match figure.size {
        [w, h] if w >= 200.0 && h >= 200.0 => vec2(w, h),
        _ => usual_size(&figure.graph),
    };
    let ctx = Context::default();
    theme::install(&ctx);
    ctx.set_theme(Theme::Light);
    let mut canvas = Canvas::default();
    let mut frame = |time: f64| {
        let input = RawInput {
            screen_rect: Some(Rect::from_min_size(Pos2::ZERO, size)),
            time: Some(time),
            ..RawInput::default()
        };
        let mut output = ctx.run_ui(input, |ui| {
            CentralPanel::no_frame().show(ui, |ui| {
                let p = theme::of(false);
                let whole = Rect::from_min_size(Pos2::ZERO, size);
                ui.painter().rect_filled(whole, 0.0, p.card);
                ui.painter().text(
                    pos2(20.0, 14.0),
                    Align2::LEFT_TOP,
                    &figure.title,
                    FontId::new(17.0, theme::strong_family()),
                    p.text,
                );
                ui.painter().text(
                    pos2(20.0, 37.0),
                    Align2::LEFT_TOP,
                    &figure.caption,
                    FontId::proportional(size::SMALL),
                    p.weak,
                );
                let room = vec2(size.x, size.y - ABOVE - BELOW);
                let mut child = ui.new_child(
                    egui::UiBuilder::new().max_rect(Rect::from_min_size(pos2(0.0, ABOVE), room)),
                );
                let look = Look { marks: &[], version: 0, framing: false, said: "" };
                graph(&mut child, &mut canvas, &figure.graph, 1, &look, room);
                let corner = pos2(20.0, size.y - BELOW / 2.0 - 8.0);
                let used = legend(ui.painter(), &figure.graph, corner, false);
                // The sign convention, beside the legend or in a line of its own.
                let said = "effect of a node = F(clean) − F(node changed)";
                let room = size.x - corner.x - used - 24.0;
                let (at, align) = match room > 270.0 {
                    true => (pos2(size.x - 20.0, corner.y), Align2::RIGHT_CENTER),
                    false => (corner + vec2(0.0, 17.0), Align2::LEFT_CENTER),
                };
                let font = FontId::proportional(size::SMALL);
                ui.painter().text(at, align, said, font, p.weak);
            });
        });
        output.textures_delta.clear();
    };
    // The first frame settles the fonts.
    frame(0.0);
    picture::aim(&ctx, None, PathBuf::new());
    frame(0.1);
    picture::developed(&ctx).pop().map(|(taken, _)| taken)
}

/// Wide enough for its columns, high enough for its rows.
fn usual_size(graph: &Graph) -> Vec2 {
    let nodes = graph.nodes.len() as f32;
    let wide = 760.0 + 40.0 * graph.columns.len() as f32 + nodes.sqrt() * 10.0;
    let high = 360.0 + 26.0 * graph.rows.len() as f32 + nodes.sqrt() * 6.0;
    vec2(wide.min(2400.0).round(), high.min(1800.0).round())
}

/// Draws what colours and shapes mean, from this place (middle of the left edge) on; how wide it is.
pub fn legend(painter: &Painter, graph: &Graph, from: Pos2, dark: bool) -> f32 {
    let p = theme::of(dark);
    let font = FontId::proportional(size::SMALL);
    let mut x = from.x;
    let say = |x: &mut f32, text: &str| {
        let at = pos2(*x, from.y);
        let drawn = painter.text(at, Align2::LEFT_CENTER, text, font.clone(), p.weak);
        *x = drawn.right() + 16.0;
    };
    let dot = |x: &mut f32, share: f32| {
        let at = pos2(*x + 5.0, from.y);
        painter.circle_filled(at, 5.0, Palettes(p).node(share));
        *x += 16.0;
    };
    dot(&mut x, 1.0);
    say(&mut x, "supports the behaviour");
    dot(&mut x, -1.0);
    say(&mut x, "works against it");
    if graph.nodes.iter().any(|n| n.kind == Kind::Error) {
        let corners = mesh::diamond(pos2(x + 5.0, from.y), 4.6).to_vec();
        painter.add(Shape::convex_polygon(corners, Palettes(p).node(0.0), Stroke::NONE));
        x += 16.0;
        say(&mut x, "error");
    }
    if graph.nodes.iter().any(|n| n.kind == Kind::Group) {
        let corners = mesh::rounded(pos2(x + 6.0, from.y), vec2(8.0, 5.0), 3.0);
        painter.add(Shape::convex_polygon(corners, Palettes(p).node(0.0), Stroke::NONE));
        x += 20.0;
        say(&mut x, "group");
    }
    if !graph.edges.is_empty() {
        let line = [pos2(x, from.y), pos2(x + 18.0, from.y)];
        painter.line_segment(line, Stroke::new(3.0, p.above.gamma_multiply(0.7)));
        x += 24.0;
        say(&mut x, "direct effect");
    }
    x - from.x
}
