//! Marks of architectures: a colour and, for eyes that do not tell colours apart, a shape.

use crate::theme::Palette;
use egui::{Color32, Painter, Pos2, Shape, Stroke, Vec2, pos2, vec2};

/// Outline of a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A disc.
    Circle,
    /// A square on its side.
    Square,
    /// A square on its point.
    Diamond,
    /// A triangle that points up.
    Up,
    /// A triangle that points down.
    Down,
    /// Six sides.
    Hexagon,
    /// Two bars.
    Cross,
}

/// How an architecture is marked: kin share colour and form, the later of them hollow.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mark {
    /// Its form.
    pub form: Form,
    /// Whether only its outline is drawn.
    pub hollow: bool,
    /// Its colour.
    pub color: Color32,
}

/// The mark of the architecture called `name`.
pub fn mark_of(name: &str, p: &Palette) -> Mark {
    let mark = |form, hollow, color| Mark { form, hollow, color };
    let s = p.series;
    match name {
        "topk" => mark(Form::Circle, false, s[0]),
        "multi-topk" => mark(Form::Circle, true, s[0]),
        "groupmax" => mark(Form::Hexagon, true, s[0]),
        "standard" => mark(Form::Square, false, s[1]),
        "standard-april" => mark(Form::Square, true, s[1]),
        "panneal" => mark(Form::Cross, false, s[1]),
        "gated" => mark(Form::Diamond, false, s[2]),
        "jumprelu" => mark(Form::Up, false, s[3]),
        "jumprelu-tanh" => mark(Form::Up, true, s[3]),
        "jumprelu-target" => mark(Form::Diamond, true, s[3]),
        "batchtopk" => mark(Form::Down, false, s[4]),
        "matryoshka" => mark(Form::Hexagon, false, s[5]),
        _ => mark(Form::Circle, true, p.weak),
    }
}

/// Draws a mark of about this radius.
pub fn draw(painter: &Painter, at: Pos2, mark: Mark, radius: f32, ground: Color32) {
    let pen = Stroke::new((radius * 0.3).max(1.6), mark.color);
    if mark.form == Form::Cross {
        for turn in [vec2(1.0, 1.0), vec2(1.0, -1.0)] {
            let arm = turn * radius * 0.78;
            painter.line_segment([at - arm, at + arm], Stroke::new(pen.width * 1.3, mark.color));
        }
        return;
    }
    // A rim in the ground's colour keeps overlapping marks apart.
    let (fill, rim) =
        if mark.hollow { (ground, pen) } else { (mark.color, Stroke::new(1.0, ground)) };
    if mark.form == Form::Circle {
        painter.circle(at, radius * 0.95, fill, rim);
        return;
    }
    let points = corners(mark.form).iter().map(|c| at + *c * radius).collect();
    painter.add(Shape::convex_polygon(points, fill, rim));
}

/// Corners on a circle of radius about 1.
fn corners(form: Form) -> Vec<Vec2> {
    let around = |n: usize, first: f32, r: f32| -> Vec<Vec2> {
        (0..n)
            .map(|i| {
                let (s, c) = (first + std::f32::consts::TAU * i as f32 / n as f32).sin_cos();
                pos2(r * c, r * s).to_vec2()
            })
            .collect()
    };
    use std::f32::consts::{FRAC_PI_2, FRAC_PI_4};
    match form {
        Form::Circle | Form::Cross => Vec::new(),
        Form::Square => around(4, FRAC_PI_4, 1.2),
        Form::Diamond => around(4, 0.0, 1.25),
        Form::Up => around(3, -FRAC_PI_2, 1.3),
        Form::Down => around(3, FRAC_PI_2, 1.3),
        Form::Hexagon => around(6, 0.0, 1.1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sparsescope_core::sae::Architecture;

    #[test]
    fn every_architecture_has_a_mark_of_its_own_even_without_colour() {
        let p = crate::theme::of(true);
        let marks: Vec<Mark> = Architecture::NAMES.map(|name| mark_of(name, p)).to_vec();
        for (i, a) in marks.iter().enumerate() {
            assert!(a.color != p.weak, "{} has no mark", Architecture::NAMES[i]);
            assert!(!marks[..i].contains(a), "{} looks like another", Architecture::NAMES[i]);
        }
        // Without colour, what is told by the outline: form and hollow.
        let told = |m: &Mark| (m.form as u8, m.hollow);
        for (i, a) in marks.iter().enumerate() {
            let same = marks[..i].iter().any(|b| told(b) == told(a));
            assert!(!same, "{} looks like another in grey", Architecture::NAMES[i]);
        }
    }
}
