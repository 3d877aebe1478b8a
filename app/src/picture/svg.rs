//! Shapes as SVG.

use super::Taken;
use super::text;
use egui::epaint::{
    BandShape, CircleShape, ClippedShape, ColorMode, CornerRadius, CubicBezierShape, EllipseShape,
    Mesh, PathShape, PathStroke, QuadraticBezierShape, RectShape, Vertex, WHITE_UV,
};
use egui::{Color32, Pos2, Rect, Shape, Stroke, StrokeKind, Vec2, pos2};
use std::fmt::Write as _;

/// The shapes as an SVG: rectangles, circles, lines and curves as such, texts as text with the
/// place of each character, what is clipped under a clip path.
///
/// Triangles of several colours have their mean colour. Textures that are no text and what a
/// graphics card draws by itself are left out.
pub fn to_svg(taken: &Taken) -> String {
    let mut svg = Svg { density: taken.density, ..Svg::default() };
    for clipped in &taken.shapes {
        svg.clipped(clipped, taken.rect);
    }
    svg.end_group();
    let Rect { min, .. } = taken.rect;
    let size = taken.rect.size();
    let (w, h) = (number(size.x), number(size.y));
    let (x, y) = (number(min.x), number(min.y));
    let mut out = String::with_capacity(svg.body.len() + svg.defs.len() + 400);
    let _ = write!(
        out,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" \
         width=\"{w}\" height=\"{h}\" viewBox=\"{x} {y} {w} {h}\">\n"
    );
    if !svg.defs.is_empty() {
        let _ = write!(out, "<defs>\n{}</defs>\n", svg.defs);
    }
    out + &svg.body + "</svg>\n"
}

#[derive(Default)]
pub(super) struct Svg {
    pub body: String,
    defs: String,
    density: f32,
    /// The clip rectangle of the group that is open.
    open: Option<Rect>,
    /// Clip rectangles that have a name: their place.
    clips: Vec<Rect>,
    /// Widths of blurs that have a name.
    blurs: Vec<f32>,
}

impl Svg {
    fn clipped(&mut self, clipped: &ClippedShape, seen: Rect) {
        let mut shape = clipped.shape.clone();
        shape.transform(clipped.transform_after_tessellation);
        let clip = self.snapped(clipped.clip_rect);
        let bounds = shape.visual_bounding_rect();
        if !clip.intersects(seen) || !bounds.intersects(seen) || !bounds.intersects(clip) {
            return;
        }
        // What lies wholly within its clip rectangle needs none.
        let free = clip.contains_rect(bounds.expand(1.0)) || clip.contains_rect(seen);
        let wanted = if free { None } else { Some(clip) };
        if wanted != self.open {
            self.end_group();
            if let Some(clip) = wanted {
                let name = self.clip_name(clip);
                let _ = writeln!(self.body, "<g clip-path=\"url(#c{name})\">");
                self.open = wanted;
            }
        }
        self.shape(&shape);
    }

    fn end_group(&mut self) {
        if self.open.take().is_some() {
            self.body += "</g>\n";
        }
    }

    fn clip_name(&mut self, clip: Rect) -> usize {
        if let Some(known) = self.clips.iter().position(|c| *c == clip) {
            return known;
        }
        self.clips.push(clip);
        let name = self.clips.len() - 1;
        let _ = writeln!(
            self.defs,
            "<clipPath id=\"c{name}\"><rect {}/></clipPath>",
            place_and_size(clip)
        );
        name
    }

    /// Onto whole pixels, as the window does it.
    fn snapped(&self, rect: Rect) -> Rect {
        let snap = |v: f32| (v * self.density).round() / self.density;
        let at = |p: Pos2| pos2(snap(p.x.clamp(-1e6, 1e6)), snap(p.y.clamp(-1e6, 1e6)));
        Rect::from_min_max(at(rect.min), at(rect.max))
    }

    fn shape(&mut self, shape: &Shape) {
        match shape {
            Shape::Noop | Shape::Callback(_) => {}
            Shape::Vec(shapes) => shapes.iter().for_each(|shape| self.shape(shape)),
            Shape::Circle(circle) => self.circle(circle),
            Shape::Ellipse(ellipse) => self.ellipse(ellipse),
            Shape::LineSegment { points: [a, b], stroke } => self.line(*a, *b, *stroke),
            Shape::Path(path) => self.path(path),
            Shape::Band(band) => self.band(band),
            Shape::Rect(rect) => self.rect(rect),
            Shape::Text(text) => text::write(self, text, self.density),
            Shape::Mesh(mesh) => self.mesh(mesh, Vec2::ZERO),
            Shape::QuadraticBezier(curve) => self.quadratic(curve),
            Shape::CubicBezier(curve) => self.cubic(curve),
        }
    }

    fn circle(&mut self, c: &CircleShape) {
        // A stroke lies outside of the disc.
        let r = c.radius + if c.stroke.is_empty() { 0.0 } else { c.stroke.width / 2.0 };
        let paint = paint(c.fill, c.stroke.width, c.stroke.color);
        if paint.is_empty() || r <= 0.0 {
            return;
        }
        let at = at(c.center, "cx", "cy");
        let _ = writeln!(self.body, "<circle {at} r=\"{}\"{paint}/>", number(r));
    }

    fn ellipse(&mut self, e: &EllipseShape) {
        let grow = if e.stroke.is_empty() { 0.0 } else { e.stroke.width / 2.0 };
        let paint = paint(e.fill, e.stroke.width, e.stroke.color);
        if paint.is_empty() {
            return;
        }
        let (rx, ry) = (number(e.radius.x + grow), number(e.radius.y + grow));
        let turn = turned(e.angle, e.center);
        let at = at(e.center, "cx", "cy");
        let _ = writeln!(self.body, "<ellipse {at} rx=\"{rx}\" ry=\"{ry}\"{paint}{turn}/>");
    }

    fn line(&mut self, a: Pos2, b: Pos2, stroke: Stroke) {
        if stroke.is_empty() {
            return;
        }
        // A level or upright line lies on whole pixels, as the window draws it.
        let snap = |v: f32| {
            let wide = (stroke.width * self.density).round().max(1.0);
            let half = if wide % 2.0 == 1.0 { 0.5 } else { 0.0 };
            ((v * self.density - half).round() + half) / self.density
        };
        let (mut a, mut b) = (a, b);
        if a.x == b.x {
            (a.x, b.x) = (snap(a.x), snap(b.x));
        }
        if a.y == b.y {
            (a.y, b.y) = (snap(a.y), snap(b.y));
        }
        let paint = paint(Color32::TRANSPARENT, stroke.width, stroke.color);
        let (from, to) = (at(a, "x1", "y1"), at(b, "x2", "y2"));
        let _ = writeln!(self.body, "<line {from} {to}{paint}/>");
    }

    fn path(&mut self, p: &PathShape) {
        let paint = paint_of_path(p.fill, &p.stroke, &p.points);
        if paint.is_empty() || p.points.len() < 2 {
            return;
        }
        let name = if p.closed { "polygon" } else { "polyline" };
        let points = points(&p.points);
        let joint = if p.stroke.width > 0.0 { " stroke-linejoin=\"round\"" } else { "" };
        let _ = writeln!(self.body, "<{name} points=\"{points}\"{paint}{joint}/>");
    }

    fn band(&mut self, b: &BandShape) {
        let above = b.points.iter().map(|p| pos2(p.x, p.y.min));
        let below = b.points.iter().rev().map(|p| pos2(p.x, p.y.max));
        let outline: Vec<Pos2> = above.chain(below).collect();
        let paint = paint(b.fill, b.stroke.width, b.stroke.color);
        if paint.is_empty() || outline.len() < 4 {
            return;
        }
        let _ = writeln!(self.body, "<polygon points=\"{}\"{paint}/>", points(&outline));
    }

    fn rect(&mut self, r: &RectShape) {
        if r.brush.as_ref().is_some_and(|b| b.uv != Rect::ZERO) {
            return;
        }
        let mut rect = r.rect;
        let snap = r.round_to_pixels.unwrap_or(true) && r.angle == 0.0 && r.blur_width == 0.0;
        if snap && rect.width() * self.density > 1.5 && rect.height() * self.density > 1.5 {
            rect = self.snapped(rect);
        }
        let fill = paint(r.fill, 0.0, Color32::TRANSPARENT);
        let mut more = turned(r.angle, rect.center());
        if r.blur_width > 0.0 {
            let name = self.blur_name(r.blur_width);
            let _ = write!(more, " filter=\"url(#b{name})\"");
        }
        if !fill.is_empty() && rect.is_positive() {
            self.outline(rect, r.corner_radius, 0.0, &(fill + &more));
        }
        if !r.stroke.is_empty() {
            // The middle of the stroke.
            let out = match r.stroke_kind {
                StrokeKind::Inside => -r.stroke.width / 2.0,
                StrokeKind::Middle => 0.0,
                StrokeKind::Outside => r.stroke.width / 2.0,
            };
            let stroke = paint(Color32::TRANSPARENT, r.stroke.width, r.stroke.color);
            self.outline(rect.expand(out), r.corner_radius, out, &(stroke + &more));
        }
    }

    /// A rectangle with rounded corners, their radii grown by `grow` where there are any.
    fn outline(&mut self, rect: Rect, radius: CornerRadius, grow: f32, paint: &str) {
        let most = rect.width().min(rect.height()) / 2.0;
        let corner = |r: u8| match r {
            0 => 0.0,
            r => (f32::from(r) + grow).clamp(0.0, most.max(0.0)),
        };
        let [nw, ne, se, sw] = [radius.nw, radius.ne, radius.se, radius.sw].map(corner);
        if nw == ne && ne == se && se == sw {
            let round = if nw > 0.0 { format!(" rx=\"{}\"", number(nw)) } else { String::new() };
            let _ = writeln!(self.body, "<rect {}{round}{paint}/>", place_and_size(rect));
            return;
        }
        let (l, t, r, b) = (rect.left(), rect.top(), rect.right(), rect.bottom());
        let n = number;
        let arc =
            |radius: f32, x: f32, y: f32| format!("A{0} {0} 0 0 1 {1} {2}", n(radius), n(x), n(y));
        let _ = writeln!(
            self.body,
            "<path d=\"M{} {}L{} {}{}L{} {}{}L{} {}{}L{} {}{}Z\"{paint}/>",
            n(l + nw),
            n(t),
            n(r - ne),
            n(t),
            arc(ne, r, t + ne),
            n(r),
            n(b - se),
            arc(se, r - se, b),
            n(l + sw),
            n(b),
            arc(sw, l, b - sw),
            n(l),
            n(t + nw),
            arc(nw, l + nw, t),
        );
    }

    fn blur_name(&mut self, width: f32) -> usize {
        if let Some(known) = self.blurs.iter().position(|b| *b == width) {
            return known;
        }
        self.blurs.push(width);
        let name = self.blurs.len() - 1;
        // A ramp of this width has the slope of such a Gaussian's.
        let deviation = number(width / (2.0 * std::f32::consts::PI).sqrt());
        let _ = writeln!(
            self.defs,
            "<filter id=\"b{name}\" x=\"-50%\" y=\"-50%\" width=\"200%\" height=\"200%\">\
             <feGaussianBlur stdDeviation=\"{deviation}\"/></filter>"
        );
        name
    }

    fn quadratic(&mut self, c: &QuadraticBezierShape) {
        let [a, b, d] = c.points;
        let paint = paint_of_path(c.fill, &c.stroke, &c.points);
        if paint.is_empty() {
            return;
        }
        let (a, b, d) = (pair(a), pair(b), pair(d));
        let end = if c.closed { "Z" } else { "" };
        let _ = writeln!(self.body, "<path d=\"M{a}Q{b} {d}{end}\"{paint}/>");
    }

    fn cubic(&mut self, c: &CubicBezierShape) {
        let paint = paint_of_path(c.fill, &c.stroke, &c.points);
        if paint.is_empty() {
            return;
        }
        let [a, b, d, e] = c.points.map(pair);
        let end = if c.closed { "Z" } else { "" };
        let _ = writeln!(self.body, "<path d=\"M{a}C{b} {d} {e}{end}\"{paint}/>");
    }

    /// Triangles of plain colour; two that make a rectangle become one.
    pub(super) fn mesh(&mut self, mesh: &Mesh, by: Vec2) {
        let vertex = |i: u32| mesh.vertices.get(i as usize).copied();
        let triangles = mesh.indices.as_chunks::<3>().0;
        let mut i = 0;
        while i < triangles.len() {
            let Some(corners) = all(triangles[i].map(vertex)) else { return };
            i += 1;
            if corners.iter().any(|v| v.uv != WHITE_UV) {
                continue;
            }
            let next = triangles.get(i).and_then(|t| all(t.map(vertex)));
            if let Some(rect) = next.and_then(|next| rectangle(&corners, &next)) {
                i += 1;
                let fill = paint(corners[0].color, 0.0, Color32::TRANSPARENT);
                if !fill.is_empty() {
                    let place = place_and_size(rect.translate(by));
                    let _ = writeln!(self.body, "<rect {place}{fill}/>");
                }
                continue;
            }
            let fill = paint(mean(&corners), 0.0, Color32::TRANSPARENT);
            if !fill.is_empty() {
                let outline = points(&corners.map(|v| v.pos + by));
                let _ = writeln!(self.body, "<polygon points=\"{outline}\"{fill}/>");
            }
        }
    }
}

fn all(of: [Option<Vertex>; 3]) -> Option<[Vertex; 3]> {
    let [a, b, c] = of;
    Some([a?, b?, c?])
}

/// The rectangle that two triangles of one colour make, if they do.
fn rectangle(a: &[Vertex; 3], b: &[Vertex; 3]) -> Option<Rect> {
    let six = || a.iter().chain(b);
    let one_color = six().all(|v| v.color == a[0].color && v.uv == WHITE_UV);
    let rect = Rect::from_points(&a.map(|v| v.pos));
    let corner = |p: Pos2| {
        (p.x == rect.left() || p.x == rect.right()) && (p.y == rect.top() || p.y == rect.bottom())
    };
    // Of two right-angled halves, each lacks one corner: not the same one.
    let lacks = |t: &[Vertex; 3]| {
        let [x, y] = [0, 1].map(|axis| t.iter().map(|v| v.pos[axis]).sum::<f32>());
        let middle = rect.center();
        (x > 3.0 * middle.x, y > 3.0 * middle.y)
    };
    let (p, q) = (lacks(a), lacks(b));
    let halves = p.0 != q.0 && p.1 != q.1;
    (one_color && rect.is_positive() && six().all(|v| corner(v.pos)) && halves).then_some(rect)
}

fn mean(corners: &[Vertex; 3]) -> Color32 {
    let channel = |c: usize| {
        let sum: u32 = corners.iter().map(|v| u32::from(v.color[c])).sum();
        ((sum + 1) / 3) as u8
    };
    Color32::from_rgba_premultiplied(channel(0), channel(1), channel(2), channel(3))
}

/// The attributes of fill and stroke, with a space before; empty if nothing would be seen.
pub(super) fn paint(fill: Color32, width: f32, stroke: Color32) -> String {
    let mut out = String::new();
    let stroked = width > 0.0 && stroke != Color32::TRANSPARENT;
    if fill == Color32::TRANSPARENT && !stroked {
        return out;
    }
    color(&mut out, "fill", fill);
    if stroked {
        color(&mut out, "stroke", stroke);
        let _ = write!(out, " stroke-width=\"{}\"", number(width));
    }
    out
}

fn color(out: &mut String, name: &str, color: Color32) {
    if color == Color32::TRANSPARENT {
        let _ = write!(out, " {name}=\"none\"");
        return;
    }
    let [r, g, b, a] = color.to_srgba_unmultiplied();
    let _ = write!(out, " {name}=\"#{r:02x}{g:02x}{b:02x}\"");
    if a < 255 {
        let _ = write!(out, " {name}-opacity=\"{}\"", number(f32::from(a) / 255.0));
    }
}

fn paint_of_path(fill: Color32, stroke: &PathStroke, points: &[Pos2]) -> String {
    let color = match &stroke.color {
        ColorMode::Solid(color) => *color,
        // In the middle.
        ColorMode::UV(of) => {
            let bounds = Rect::from_points(points);
            of(bounds, bounds.center())
        }
    };
    paint(fill, stroke.width, color)
}

fn turned(angle: f32, about: Pos2) -> String {
    if angle == 0.0 {
        return String::new();
    }
    format!(" transform=\"rotate({} {})\"", number(angle.to_degrees()), pair(about))
}

fn place_and_size(r: Rect) -> String {
    let (w, h) = (number(r.width().max(0.0)), number(r.height().max(0.0)));
    format!("{} width=\"{w}\" height=\"{h}\"", at(r.min, "x", "y"))
}

fn at(p: Pos2, x: &str, y: &str) -> String {
    format!("{x}=\"{}\" {y}=\"{}\"", number(p.x), number(p.y))
}

fn pair(p: Pos2) -> String {
    format!("{} {}", number(p.x), number(p.y))
}

fn points(all: &[Pos2]) -> String {
    let mut out = String::with_capacity(12 * all.len());
    for (i, p) in all.iter().enumerate() {
        let space = if i == 0 { "" } else { " " };
        let _ = write!(out, "{space}{},{}", number(p.x), number(p.y));
    }
    out
}

/// A number to a hundredth of a point (shares to a thousandth), without needless zeros.
pub(super) fn number(x: f32) -> String {
    if !x.is_finite() {
        return "0".to_owned();
    }
    let digits = if x.abs() < 1.0 { 3 } else { 2 };
    let text = format!("{x:.digits$}");
    let short = text.trim_end_matches('0').trim_end_matches('.');
    if short.is_empty() || short == "-0" { "0".to_owned() } else { short.to_owned() }
}
