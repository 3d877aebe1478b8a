//! Tens of thousands of points in two dimensions: pan, zoom, hover, click, lasso.
//!
//! What is drawn is one mesh, made anew only when the view or the colours change; what is under
//! the pointer is found through a grid.

use crate::theme::{Palette, palette};
use egui::epaint::{ClippedShape, Mesh, Primitive, Vertex};
use egui::{
    Color32, CursorIcon, Key, PointerButton, Pos2, Rect, Role, Sense, Shape, Stroke, Ui, Vec2,
    WidgetInfo, pos2, vec2,
};
use std::sync::Arc;

/// Cells of the grid along each side.
const CELLS: usize = 192;

/// Nearer than this the pointer is on a point.
const REACH: f32 = 9.0;

const ZOOM: std::ops::RangeInclusive<f32> = 0.5..=400.0;

/// Points with what is derived from them.
#[derive(Debug, Default)]
pub struct Cloud {
    /// In [-1, 1] on both axes, y downwards; NaN for one without a place.
    points: Vec<Pos2>,
    placed: usize,
    /// Points of cell c: `order[first[c]..first[c + 1]]`.
    first: Vec<u32>,
    order: Vec<u32>,
    view: View,
    made: u64,
    mesh: Option<(Drawn, Arc<Mesh>)>,
    /// The lasso on its way, in the cloud's own coordinates.
    lasso: Vec<Pos2>,
}

/// Which part of the cloud is seen.
#[derive(Debug, Clone, Copy, PartialEq)]
struct View {
    centre: Pos2,
    zoom: f32,
}

impl Default for View {
    fn default() -> Self {
        Self { centre: Pos2::ZERO, zoom: 1.0 }
    }
}

/// What a mesh was made for.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Drawn {
    rect: Rect,
    view: View,
    made: u64,
    look: u64,
    /// Size of the texture that discs are in: places in it change with it.
    atlas: [usize; 2],
    density: f32,
}

/// How the points look.
#[derive(Debug, Clone, Copy)]
pub struct Look<'a> {
    /// A colour for each point.
    pub colors: &'a [Color32],
    /// Points that were searched for, ascending: they stand out, the others step back.
    pub found: &'a [u32],
    /// Points that are selected, ascending.
    pub selected: &'a [u32],
    /// Another number for another look.
    pub version: u64,
    /// Whether a drag draws a lasso rather than moving the map; with Shift it always does.
    pub lasso: bool,
    /// What a reader of the screen is told.
    pub said: &'a str,
}

/// What was done to a cloud.
#[derive(Debug, Default)]
pub struct Touched {
    /// The point under the pointer.
    pub over: Option<u32>,
    /// The point that was clicked.
    pub clicked: Option<u32>,
    /// The points within the lasso that was just closed.
    pub lassoed: Option<Vec<u32>>,
}

impl Cloud {
    /// Whether these points (`version`) are already here.
    pub fn is(&self, version: u64) -> bool {
        self.made == version && self.made > 0
    }

    /// Takes points, keeping their proportions; y upwards. The view begins anew.
    pub fn set(&mut self, points: &[[f32; 2]], version: u64) {
        let finite = || points.iter().filter(|p| p[0].is_finite() && p[1].is_finite());
        let mut bounds = Rect::NOTHING;
        finite().for_each(|p| bounds.extend_with(pos2(p[0], p[1])));
        let half = (bounds.width().max(bounds.height()) / 2.0).max(1e-20);
        let middle = bounds.center();
        let place = |p: &[f32; 2]| match p[0].is_finite() && p[1].is_finite() {
            true => pos2((p[0] - middle.x) / half, (middle.y - p[1]) / half),
            false => pos2(f32::NAN, f32::NAN),
        };
        self.points = points.iter().map(place).collect();
        self.placed = finite().count();
        self.sort_into_grid();
        self.view = View::default();
        self.made = version;
        self.mesh = None;
        self.lasso.clear();
    }

    /// How many points have a place.
    pub fn placed(&self) -> usize {
        self.placed
    }

    /// Shows the whole of it.
    pub fn reset(&mut self) {
        self.view = View::default();
    }

    /// Shows point `i` in the middle, near.
    pub fn show(&mut self, i: u32) {
        if let Some(point) = self.points.get(i as usize).filter(|p| p.x.is_finite()) {
            self.view = View { centre: *point, zoom: self.view.zoom.max(4.0) };
        }
    }

    fn sort_into_grid(&mut self) {
        let mut counts = vec![0u32; CELLS * CELLS + 1];
        let placed = || self.points.iter().enumerate().filter(|(_, p)| p.x.is_finite());
        placed().for_each(|(_, p)| counts[cell(*p) + 1] += 1);
        for c in 0..CELLS * CELLS {
            counts[c + 1] += counts[c];
        }
        let mut next = counts.clone();
        let mut order = vec![0; self.placed];
        for (i, p) in placed() {
            let at = &mut next[cell(*p)];
            order[*at as usize] = i as u32;
            *at += 1;
        }
        (self.first, self.order) = (counts, order);
    }

    /// The point nearest to `at` that is no farther than `reach`.
    fn nearest(&self, at: Pos2, reach: f32) -> Option<u32> {
        if self.order.is_empty() {
            return None;
        }
        let (x0, y0) = column_row(at - Vec2::splat(reach));
        let (x1, y1) = column_row(at + Vec2::splat(reach));
        let far = |i: &u32| self.points[*i as usize].distance_sq(at);
        (y0..=y1)
            .flat_map(|y| {
                let from = self.first[y * CELLS + x0] as usize;
                let to = self.first[y * CELLS + x1 + 1] as usize;
                &self.order[from..to]
            })
            .copied()
            .filter(|i| far(i) <= reach * reach)
            .min_by(|a, b| far(a).total_cmp(&far(b)))
    }

    /// The points within a closed line, ascending.
    fn within(&self, line: &[Pos2]) -> Vec<u32> {
        let bounds = Rect::from_points(line);
        let inside = |p: Pos2| {
            let crosses = |a: Pos2, b: Pos2| {
                (a.y <= p.y) != (b.y <= p.y) && p.x < a.x + (p.y - a.y) / (b.y - a.y) * (b.x - a.x)
            };
            let edges = line.iter().zip(line.iter().cycle().skip(1));
            edges.filter(|(a, b)| crosses(**a, **b)).count() % 2 == 1
        };
        (0..self.points.len() as u32)
            .filter(|i| {
                let p = self.points[*i as usize];
                bounds.contains(p) && inside(p)
            })
            .collect()
    }
}

fn column_row(p: Pos2) -> (usize, usize) {
    let place = |v: f32| (((v + 1.0) / 2.0 * CELLS as f32) as usize).min(CELLS - 1);
    (place(p.x), place(p.y))
}

fn cell(p: Pos2) -> usize {
    let (x, y) = column_row(p);
    y * CELLS + x
}

/// From the cloud's coordinates to the screen's and back.
#[derive(Clone, Copy)]
struct Frame {
    rect: Rect,
    view: View,
}

impl Frame {
    fn scale(self) -> f32 {
        self.rect.width().min(self.rect.height()) * 0.5 * 0.93 * self.view.zoom
    }

    fn to_screen(self, p: Pos2) -> Pos2 {
        self.rect.center() + (p - self.view.centre) * self.scale()
    }

    fn place_of(self, p: Pos2) -> Pos2 {
        self.view.centre + (p - self.rect.center()) / self.scale()
    }
}

/// Radius of a point: fewer points and a nearer view make them larger.
fn radius(placed: usize, zoom: f32) -> f32 {
    let whole = (110.0 / (placed.max(1) as f32).sqrt()).clamp(1.25, 4.0);
    (whole * zoom.max(1.0).powf(0.3)).min(6.5)
}

/// Draws the cloud into a well of this size.
pub fn point_cloud(ui: &mut Ui, cloud: &mut Cloud, look: &Look<'_>, size: Vec2) -> Touched {
    let (rect, response) = ui.allocate_exact_size(size, Sense::click_and_drag());
    response.widget_info(|| WidgetInfo::labeled(Role::Image, ui.is_enabled(), look.said));
    let mut touched = Touched::default();
    let drawing = look.lasso || ui.input(|i| i.modifiers.shift);
    navigate(ui, cloud, rect, &response, drawing);
    let frame = Frame { rect, view: cloud.view };
    if drawing && response.dragged_by(PointerButton::Primary) {
        if let Some(at) = response.interact_pointer_pos() {
            if cloud.lasso.is_empty()
                && let Some(first) = ui.input(|i| i.pointer.press_origin())
            {
                cloud.lasso.push(frame.place_of(first));
            }
            let at = frame.place_of(at);
            let step = 2.0 / frame.scale();
            if cloud.lasso.last().is_none_or(|last| last.distance(at) > step) {
                cloud.lasso.push(at);
            }
        }
    } else if !cloud.lasso.is_empty() {
        let line = std::mem::take(&mut cloud.lasso);
        if response.drag_stopped() && line.len() > 2 {
            touched.lassoed = Some(cloud.within(&line));
        }
    }
    if let Some(at) = response.hover_pos()
        && cloud.lasso.is_empty()
    {
        touched.over = cloud.nearest(frame.place_of(at), REACH / frame.scale());
    }
    if touched.over.is_some() {
        ui.ctx().set_cursor_icon(CursorIcon::PointingHand);
    } else if response.hovered() && drawing {
        ui.ctx().set_cursor_icon(CursorIcon::Crosshair);
    }
    if response.clicked() {
        touched.clicked = touched.over;
    }
    if ui.is_rect_visible(rect) {
        draw(ui, cloud, look, frame, touched.over);
        if response.has_focus() {
            let pen = Stroke::new(2.0, palette(ui).accent);
            ui.painter().rect_stroke(rect, 10.0, pen, egui::StrokeKind::Inside);
        }
    }
    touched
}

fn navigate(ui: &Ui, cloud: &mut Cloud, rect: Rect, response: &egui::Response, drawing: bool) {
    let frame = Frame { rect, view: cloud.view };
    let mut zoom = 1.0;
    let mut about = rect.center();
    if response.hovered() {
        let (pinch, wheel) = ui.input(|i| (i.zoom_delta(), i.smooth_scroll_delta().y));
        zoom = pinch * (wheel / 240.0).exp();
        about = response.hover_pos().unwrap_or(about);
    }
    if response.has_focus() {
        let pressed = |key| ui.input(|i| i.key_pressed(key));
        let pan = |x: f32, y: f32| vec2(x, y) * 40.0 / frame.scale();
        for (key, by) in [
            (Key::ArrowLeft, pan(-1.0, 0.0)),
            (Key::ArrowRight, pan(1.0, 0.0)),
            (Key::ArrowUp, pan(0.0, -1.0)),
            (Key::ArrowDown, pan(0.0, 1.0)),
        ] {
            if pressed(key) {
                cloud.view.centre += by;
            }
        }
        if pressed(Key::Plus) || pressed(Key::Equals) {
            zoom *= 1.25;
        }
        if pressed(Key::Minus) {
            zoom /= 1.25;
        }
        if pressed(Key::Num0) {
            cloud.reset();
        }
    }
    let pans = !drawing && response.dragged_by(PointerButton::Primary)
        || response.dragged_by(PointerButton::Middle)
        || response.dragged_by(PointerButton::Secondary);
    if pans {
        cloud.view.centre -= response.drag_delta() / frame.scale();
    }
    if response.double_clicked() {
        cloud.reset();
    } else if (zoom - 1.0).abs() > 1e-6 {
        // What is under the pointer stays there.
        let at = frame.place_of(about);
        cloud.view.zoom = (cloud.view.zoom * zoom).clamp(*ZOOM.start(), *ZOOM.end());
        let after = Frame { rect, view: cloud.view }.place_of(about);
        cloud.view.centre += at - after;
    }
    let bounds = Rect::from_min_max(pos2(-1.0, -1.0), pos2(1.0, 1.0));
    cloud.view.centre = bounds.clamp(cloud.view.centre);
}

fn draw(ui: &Ui, cloud: &mut Cloud, look: &Look<'_>, frame: Frame, over: Option<u32>) {
    let p = palette(ui);
    let painter = ui.painter().with_clip_rect(frame.rect.intersect(ui.clip_rect()));
    let r = radius(cloud.placed, frame.view.zoom);
    let wanted = Drawn {
        rect: frame.rect,
        view: frame.view,
        made: cloud.made,
        look: look.version,
        atlas: ui.fonts_mut(|fonts| fonts.font_image_size()),
        density: ui.pixels_per_point(),
    };
    if crate::picture::is_taking(ui.ctx()) {
        let mut discs = Vec::new();
        each(cloud, look, frame, r, p, |at, r, color| {
            discs.push(Shape::circle_filled(at, r, color));
        });
        painter.extend(discs);
    } else {
        if cloud.mesh.as_ref().is_none_or(|(drawn, _)| *drawn != wanted) {
            let mesh = mesh(ui, cloud, look, frame, r);
            cloud.mesh = Some((wanted, Arc::new(mesh)));
        }
        if let Some((_, mesh)) = &cloud.mesh {
            painter.add(Shape::Mesh(mesh.clone()));
        }
    }
    if let Some(over) = over {
        let at = frame.to_screen(cloud.points[over as usize]);
        let color = look.colors.get(over as usize).copied().unwrap_or(p.accent);
        painter.circle(at, r + 2.5, color, Stroke::new(2.0, p.text));
    }
    if cloud.lasso.len() > 1 {
        let line: Vec<Pos2> = cloud.lasso.iter().map(|q| frame.to_screen(*q)).collect();
        let closing = [line[line.len() - 1], line[0]];
        painter.add(Shape::line(line, Stroke::new(1.8, p.accent)));
        painter.add(Shape::dashed_line(&closing, Stroke::new(1.2, p.accent), 4.0, 4.0));
    }
}

/// A soft-edged disc of this radius around the origin, as the window itself would draw one.
fn disc(ui: &Ui, radius: f32) -> Mesh {
    let shape = Shape::circle_filled(Pos2::ZERO, radius, Color32::WHITE);
    let clipped = ClippedShape::new(Rect::EVERYTHING, shape);
    let drawn = ui.ctx().tessellate(vec![clipped], ui.pixels_per_point());
    let mesh = drawn.into_iter().find_map(|part| match part.primitive {
        Primitive::Mesh(mesh) => Some(mesh),
        Primitive::Callback(_) => None,
    });
    mesh.unwrap_or_default()
}

/// All points as one mesh.
fn mesh(ui: &Ui, cloud: &Cloud, look: &Look<'_>, frame: Frame, r: f32) -> Mesh {
    let mut mesh = Mesh::default();
    // Few radii come, many times each.
    let mut known: Vec<(f32, Mesh)> = Vec::new();
    each(cloud, look, frame, r, palette(ui), |at, r, color| {
        let place = known.iter().position(|(radius, _)| *radius == r).unwrap_or_else(|| {
            known.push((r, disc(ui, r)));
            known.len() - 1
        });
        let disc = &known[place].1;
        let first = mesh.vertices.len() as u32;
        mesh.vertices.extend(disc.vertices.iter().map(|v| Vertex {
            pos: v.pos + at.to_vec2(),
            uv: v.uv,
            color: if v.color == Color32::WHITE { color } else { Color32::TRANSPARENT },
        }));
        mesh.indices.extend(disc.indices.iter().map(|c| first + c));
    });
    mesh
}

/// The discs to be drawn, one over the other: place, radius, colour.
fn each(
    cloud: &Cloud,
    look: &Look<'_>,
    frame: Frame,
    r: f32,
    p: &Palette,
    mut draw: impl FnMut(Pos2, f32, Color32),
) {
    let seen = frame.rect.expand(r + 4.0);
    let mut add = |i: u32, r: f32, color: Color32| {
        let Some(point) = cloud.points.get(i as usize) else { return };
        let at = frame.to_screen(*point);
        // False for a point without a place, too.
        if seen.contains(at) {
            draw(at, r, color);
        }
    };
    let color = |i: u32| look.colors.get(i as usize).copied().unwrap_or(p.weak);
    let back = |c: Color32| match look.found.is_empty() {
        true => c,
        false => p.card.lerp_to_gamma(c, 0.22),
    };
    for i in 0..cloud.points.len() as u32 {
        add(i, r, back(color(i)));
    }
    for i in look.selected {
        add(*i, r + 1.6, p.text);
        add(*i, r + 0.3, color(*i));
    }
    for i in look.found {
        add(*i, r + 3.2, p.card);
        add(*i, r + 2.4, p.glow);
        add(*i, r + 0.6, color(*i));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cloud() -> Cloud {
        let mut cloud = Cloud::default();
        let points: Vec<[f32; 2]> = (0..2000)
            .map(|i| {
                let (x, y) = ((i * 7919 % 2003) as f32, (i * 104_729 % 1999) as f32);
                if i == 17 { [f32::NAN; 2] } else { [x * 3.0 - 500.0, y * 3.0 + 9.0] }
            })
            .collect();
        cloud.set(&points, 1);
        cloud
    }

    #[test]
    fn the_nearest_point_is_that_of_looking_at_each() {
        let cloud = cloud();
        assert_eq!(cloud.placed(), 1999);
        for k in 0..500 {
            let at = pos2((k * 37 % 211) as f32 / 90.0 - 1.2, (k * 53 % 199) as f32 / 85.0 - 1.2);
            let reach = 0.02 + (k % 7) as f32 * 0.03;
            let found = cloud.nearest(at, reach).map(|i| cloud.points[i as usize].distance(at));
            let wanted = cloud
                .points
                .iter()
                .map(|p| p.distance(at))
                .filter(|d| *d <= reach)
                .min_by(f32::total_cmp);
            assert_eq!(found, wanted, "{at:?}");
        }
    }

    #[test]
    fn a_lasso_takes_what_is_within_it() {
        let cloud = cloud();
        let line = [pos2(-0.5, -0.5), pos2(0.5, -0.5), pos2(0.5, 0.5), pos2(-0.5, 0.5)];
        let found = cloud.within(&line);
        let wanted: Vec<u32> = (0..2000)
            .filter(|i| {
                let p = cloud.points[*i as usize];
                p.x.abs() < 0.5 && p.y.abs() < 0.5
            })
            .collect();
        assert!(wanted.len() > 100);
        assert_eq!(found, wanted);
        let turned = line.map(|p| pos2(p.y * 0.2 + 3.0, p.x));
        assert!(cloud.within(&turned).is_empty());
    }

    #[test]
    fn points_keep_their_proportions_and_no_points_are_no_trouble() {
        let mut cloud = Cloud::default();
        cloud.set(&[[0.0, 0.0], [10.0, 5.0]], 1);
        assert_eq!(cloud.points, [pos2(-1.0, 0.5), pos2(1.0, -0.5)]);
        cloud.set(&[[3.0, 3.0]], 2);
        assert_eq!(cloud.nearest(Pos2::ZERO, 0.1), Some(0));
        for none in [&[][..], &[[f32::NAN, 1.0]]] {
            cloud.set(none, 3);
            assert_eq!(cloud.nearest(Pos2::ZERO, 1.0), None);
            assert!(cloud.within(&[pos2(-1.0, -1.0), pos2(1.0, 0.0), pos2(0.0, 1.0)]).is_empty());
        }
    }
}
