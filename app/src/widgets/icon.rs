//! The icons of this program, drawn as strokes so that they are sharp at any size.

use egui::{Color32, Painter, Pos2, Rect, Shape, Stroke, Vec2, pos2};

/// What an icon stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Icon {
    /// The first screen.
    Home,
    /// A model.
    Model,
    /// A corpus.
    Data,
    /// Training.
    Train,
    /// What is best at each price.
    Pareto,
    /// Features.
    Features,
    /// A prompt.
    Prompt,
    /// A circuit.
    Circuit,
    /// A signal that is cut out.
    Shift,
    /// A steering wheel.
    Steer,
    /// Directions as a map.
    Directions,
    /// Labels.
    Labels,
    /// Light theme.
    Sun,
    /// Dark theme.
    Moon,
    /// Whatever the system says.
    System,
    /// Hold.
    Pause,
    /// Go on.
    Play,
    /// Stop, close.
    Close,
    /// A warning.
    Warning,
    /// Done.
    Tick,
    /// Something to drop here.
    Drop,
    /// A folder to look for.
    Folder,
}

/// Draws `icon` in the middle of `rect`, as large as it allows.
pub fn draw(painter: &Painter, rect: Rect, icon: Icon, color: Color32) {
    let side = rect.width().min(rect.height());
    let at = |x: f32, y: f32| rect.center() + side * Vec2::new(x - 0.5, y - 0.5);
    let pen = Stroke::new((side / 13.0).max(1.2), color);
    let line = |points: &[(f32, f32)]| {
        let points: Vec<Pos2> = points.iter().map(|&(x, y)| at(x, y)).collect();
        painter.add(Shape::line(points, pen));
    };
    let dot = |x: f32, y: f32, r: f32| {
        painter.circle_filled(at(x, y), side * r, color);
    };
    let ring = |x: f32, y: f32, r: f32| {
        painter.circle_stroke(at(x, y), side * r, pen);
    };
    match icon {
        Icon::Home => {
            ring(0.46, 0.46, 0.34);
            line(&[(0.71, 0.71), (0.92, 0.92)]);
            dot(0.46, 0.46, 0.09);
        }
        Icon::Model => {
            for y in [0.2, 0.5, 0.8] {
                let r = Rect::from_center_size(at(0.5, y), side * Vec2::new(0.76, 0.2));
                painter.rect_stroke(r, side * 0.06, pen, egui::StrokeKind::Middle);
            }
        }
        Icon::Data => {
            for (y, to) in [(0.2, 0.9), (0.4, 0.7), (0.6, 0.86), (0.8, 0.5)] {
                line(&[(0.12, y), (to, y)]);
            }
        }
        Icon::Train => {
            line(&[(0.1, 0.1), (0.1, 0.9), (0.92, 0.9)]);
            line(&[(0.24, 0.22), (0.34, 0.5), (0.5, 0.66), (0.7, 0.72), (0.9, 0.74)]);
        }
        Icon::Pareto => {
            line(&[(0.1, 0.1), (0.1, 0.9), (0.92, 0.9)]);
            for (x, y) in [(0.3, 0.66), (0.46, 0.42), (0.68, 0.28), (0.9, 0.22), (0.66, 0.62)] {
                dot(x, y, 0.075);
            }
        }
        Icon::Features => {
            for (i, x) in [0.18, 0.5, 0.82].into_iter().enumerate() {
                for (j, y) in [0.18, 0.5, 0.82].into_iter().enumerate() {
                    let lit = (i, j) == (1, 0) || (i, j) == (2, 2);
                    if lit { dot(x, y, 0.13) } else { dot(x, y, 0.055) }
                }
            }
        }
        Icon::Prompt => {
            line(&[(0.12, 0.2), (0.4, 0.44), (0.12, 0.68)]);
            line(&[(0.46, 0.78), (0.9, 0.78)]);
        }
        Icon::Directions => {
            for to in [(0.84, 0.3), (0.6, 0.1), (0.92, 0.62), (0.14, 0.3)] {
                line(&[(0.4, 0.8), to]);
                dot(to.0, to.1, 0.08);
            }
        }
        Icon::Labels => {
            let outline = [(0.1, 0.16), (0.52, 0.16), (0.92, 0.56), (0.56, 0.92), (0.1, 0.5)];
            let points = outline.iter().map(|&(x, y)| at(x, y)).collect();
            painter.add(Shape::closed_line(points, pen));
            dot(0.3, 0.34, 0.075);
        }
        Icon::Shift => {
            line(&[(0.08, 0.3), (0.9, 0.3)]);
            line(&[(0.72, 0.14), (0.9, 0.3), (0.72, 0.46)]);
            line(&[(0.92, 0.72), (0.66, 0.72)]);
            line(&[(0.34, 0.72), (0.1, 0.72)]);
            line(&[(0.4, 0.58), (0.6, 0.86)]);
            line(&[(0.6, 0.58), (0.4, 0.86)]);
        }
        Icon::Steer => {
            ring(0.5, 0.5, 0.4);
            dot(0.5, 0.5, 0.1);
            line(&[(0.12, 0.44), (0.42, 0.48)]);
            line(&[(0.88, 0.44), (0.58, 0.48)]);
            line(&[(0.5, 0.58), (0.5, 0.88)]);
        }
        Icon::Circuit => {
            for (from, to) in [
                ((0.16, 0.84), (0.3, 0.48)),
                ((0.62, 0.84), (0.3, 0.48)),
                ((0.62, 0.84), (0.76, 0.5)),
                ((0.3, 0.48), (0.54, 0.14)),
                ((0.76, 0.5), (0.54, 0.14)),
            ] {
                line(&[from, to]);
            }
            for (x, y) in [(0.16, 0.84), (0.62, 0.84), (0.3, 0.48), (0.76, 0.5), (0.54, 0.14)] {
                dot(x, y, 0.1);
            }
        }
        Icon::Sun => {
            ring(0.5, 0.5, 0.2);
            for k in 0..8 {
                let (s, c) = (std::f32::consts::TAU * k as f32 / 8.0).sin_cos();
                line(&[(0.5 + 0.32 * c, 0.5 + 0.32 * s), (0.5 + 0.44 * c, 0.5 + 0.44 * s)]);
            }
        }
        Icon::Moon => {
            // Two lines, for a closed one would have spikes at the tips.
            let arc = |cx: f32, r: f32, from: f32, to: f32| {
                (0..=14).map(move |i| {
                    let (s, c) = (from + (to - from) * i as f32 / 14.0).sin_cos();
                    (cx + r * c, 0.5 + r * s)
                })
            };
            line(&arc(0.5, 0.36, 0.75, 5.53).collect::<Vec<_>>());
            line(&arc(0.78, 0.27, 2.03, 4.25).collect::<Vec<_>>());
        }
        Icon::System => {
            let r = Rect::from_min_max(at(0.1, 0.16), at(0.9, 0.68));
            painter.rect_stroke(r, side * 0.06, pen, egui::StrokeKind::Middle);
            line(&[(0.3, 0.86), (0.7, 0.86)]);
        }
        Icon::Pause => {
            for x in [0.34, 0.66] {
                let r = Rect::from_center_size(at(x, 0.5), side * Vec2::new(0.15, 0.6));
                painter.rect_filled(r, side * 0.04, color);
            }
        }
        Icon::Play => {
            let points = [(0.28, 0.18), (0.84, 0.5), (0.28, 0.82)].map(|(x, y)| at(x, y));
            painter.add(Shape::convex_polygon(points.to_vec(), color, Stroke::NONE));
        }
        Icon::Close => {
            line(&[(0.24, 0.24), (0.76, 0.76)]);
            line(&[(0.76, 0.24), (0.24, 0.76)]);
        }
        Icon::Warning => {
            let points = [(0.5, 0.12), (0.94, 0.86), (0.06, 0.86)].map(|(x, y)| at(x, y));
            painter.add(Shape::closed_line(points.to_vec(), pen));
            line(&[(0.5, 0.38), (0.5, 0.6)]);
            dot(0.5, 0.73, 0.055);
        }
        Icon::Tick => line(&[(0.18, 0.54), (0.42, 0.78), (0.84, 0.24)]),
        Icon::Drop => {
            line(&[(0.5, 0.1), (0.5, 0.62)]);
            line(&[(0.28, 0.42), (0.5, 0.64), (0.72, 0.42)]);
            line(&[(0.12, 0.64), (0.12, 0.88), (0.88, 0.88), (0.88, 0.64)]);
        }
        Icon::Folder => {
            let outline =
                [(0.1, 0.8), (0.1, 0.22), (0.4, 0.22), (0.48, 0.34), (0.9, 0.34), (0.9, 0.8)];
            let points = outline.iter().map(|&(x, y)| at(x, y)).collect();
            painter.add(Shape::closed_line(points, pen));
        }
    }
}

/// The mark of the program: a lens over a field of latents, two of them lit.
pub fn mark(painter: &Painter, rect: Rect, ring: Color32, dim: Color32, lit: Color32) {
    let side = rect.width().min(rect.height());
    let center = rect.center() - Vec2::splat(side * 0.06);
    let radius = side * 0.38;
    let step = radius * 0.52;
    for i in -1..=1 {
        for j in -1..=1 {
            let at = pos2(center.x + i as f32 * step, center.y + j as f32 * step);
            let on = (i, j) == (0, -1) || (i, j) == (1, 1);
            let (r, color) = if on { (side * 0.075, lit) } else { (side * 0.035, dim) };
            painter.circle_filled(at, r, color);
        }
    }
    let pen = Stroke::new(side * 0.075, ring);
    painter.circle_stroke(center, radius, pen);
    let out = Vec2::splat(std::f32::consts::FRAC_1_SQRT_2);
    painter.line_segment([center + out * radius, center + out * side * 0.66], pen);
}
