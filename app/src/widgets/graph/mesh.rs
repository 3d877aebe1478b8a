//! Soft-edged polygons and curves, put together as one mesh.

use egui::epaint::{Mesh, Vertex, WHITE_UV};
use egui::{Color32, Pos2, Vec2, pos2, vec2};

/// Width of a soft edge, in points.
const SOFT: f32 = 0.9;

/// Steps of a curve: at least, at most, and points on screen a step. Of a thin one, of which there
/// may be thousands and on which corners do not show, fewer.
const STEPS: (usize, usize) = (6, 16);
const STEPS_THIN: usize = 8;
const STEP: f32 = 16.0;

/// A place on a cubic curve.
pub fn on_curve(c: &[Pos2; 4], t: f32) -> Pos2 {
    let u = 1.0 - t;
    let [a, b, d, e] = c.map(Pos2::to_vec2);
    (a * (u * u * u) + b * (3.0 * u * u * t) + d * (3.0 * u * t * t) + e * (t * t * t)).to_pos2()
}

fn vertex(mesh: &mut Mesh, pos: Pos2, color: Color32) -> u32 {
    mesh.vertices.push(Vertex { pos, uv: WHITE_UV, color });
    mesh.vertices.len() as u32 - 1
}

/// A convex polygon whose corners are in order.
pub fn polygon(mesh: &mut Mesh, corners: &[Pos2], color: Color32) {
    let n = corners.len();
    if n < 3 {
        return;
    }
    let middle = corners.iter().fold(Vec2::ZERO, |s, p| s + p.to_vec2()) / n as f32;
    let first = mesh.vertices.len() as u32;
    for p in corners {
        let out = (p.to_vec2() - middle).normalized() * (SOFT / 2.0);
        vertex(mesh, *p - out, color);
        vertex(mesh, *p + out, Color32::TRANSPARENT);
    }
    for k in 1..n as u32 - 1 {
        mesh.indices.extend([first, first + 2 * k, first + 2 * (k + 1)]);
    }
    for k in 0..n as u32 {
        let (a, b) = (first + 2 * k, first + 2 * ((k + 1) % n as u32));
        mesh.indices.extend([a, a + 1, b, b, a + 1, b + 1]);
    }
}

/// A disc.
pub fn disc(mesh: &mut Mesh, at: Pos2, radius: f32, color: Color32) {
    let corners = if radius > 7.0 { 32 } else { 18 };
    let mut points = [Pos2::ZERO; 32];
    for (k, p) in points.iter_mut().take(corners).enumerate() {
        let (sin, cos) = (k as f32 / corners as f32 * std::f32::consts::TAU).sin_cos();
        *p = at + vec2(cos, sin) * radius;
    }
    polygon(mesh, &points[..corners], color);
}

/// A square that stands on its corner.
pub fn diamond(at: Pos2, radius: f32) -> [Pos2; 4] {
    let r = radius * 1.18;
    [at + vec2(0.0, -r), at + vec2(r, 0.0), at + vec2(0.0, r), at + vec2(-r, 0.0)]
}

/// A box with round corners.
pub fn rounded(at: Pos2, half: Vec2, round: f32) -> Vec<Pos2> {
    let round = round.min(half.x).min(half.y);
    let mut points = Vec::with_capacity(20);
    for (k, (x, y)) in [(1.0, -1.0), (1.0, 1.0), (-1.0, 1.0), (-1.0, -1.0)].into_iter().enumerate()
    {
        let corner = pos2(at.x + x * (half.x - round), at.y + y * (half.y - round));
        for s in 0..5 {
            let turn = (k as f32 - 1.0 + s as f32 / 4.0) * std::f32::consts::FRAC_PI_2;
            points.push(corner + vec2(turn.cos(), turn.sin()) * round);
        }
    }
    points
}

/// A line along a curve.
pub fn ribbon(mesh: &mut Mesh, curve: &[Pos2; 4], width: f32, color: Color32) {
    // Thinner than the soft edge it is fainter instead.
    let (width, color) = match width < SOFT {
        true => (SOFT, color.gamma_multiply(width / SOFT)),
        false => (width, color),
    };
    let thin = width <= 1.6;
    let (inner, outer) = ((width - SOFT) / 2.0, (width + SOFT) / 2.0);
    let across = if thin { 3 } else { 4 };
    let long = (curve[0].distance(curve[3]) / STEP) as usize;
    let steps = long.clamp(STEPS.0, if thin { STEPS_THIN } else { STEPS.1 });
    let first = mesh.vertices.len() as u32;
    let mut from = curve[0];
    for k in 0..=steps {
        let t = k as f32 / steps as f32;
        let p = on_curve(curve, t);
        let ahead = if k < steps { on_curve(curve, (k + 1) as f32 / steps as f32) } else { p };
        let along = (ahead - from).normalized();
        let side = vec2(-along.y, along.x);
        vertex(mesh, p - side * outer, Color32::TRANSPARENT);
        if thin {
            vertex(mesh, p, color);
        } else {
            vertex(mesh, p - side * inner, color);
            vertex(mesh, p + side * inner, color);
        }
        vertex(mesh, p + side * outer, Color32::TRANSPARENT);
        from = p;
    }
    for k in 0..steps as u32 {
        for c in 0..across - 1 {
            let a = first + k * across + c;
            let b = a + across;
            mesh.indices.extend([a, a + 1, b, b, a + 1, b + 1]);
        }
    }
}

/// The outline of a polygon as a line of this width, lying outside of it.
pub fn outline(mesh: &mut Mesh, corners: &[Pos2], width: f32, color: Color32) {
    let n = corners.len();
    if n < 3 {
        return;
    }
    let middle = corners.iter().fold(Vec2::ZERO, |s, p| s + p.to_vec2()) / n as f32;
    let first = mesh.vertices.len() as u32;
    let soft = SOFT / 2.0;
    for p in corners {
        let out = (p.to_vec2() - middle).normalized();
        let levels = [
            (-soft, Color32::TRANSPARENT),
            (soft, color),
            (width - soft, color),
            (width + soft, Color32::TRANSPARENT),
        ];
        for (by, color) in levels {
            vertex(mesh, *p + out * by, color);
        }
    }
    for k in 0..n as u32 {
        let (a, b) = (first + 4 * k, first + 4 * ((k + 1) % n as u32));
        for c in 0..3 {
            mesh.indices.extend([a + c, a + c + 1, b + c, b + c, a + c + 1, b + c + 1]);
        }
    }
}

/// A circle's corners.
pub fn circle(at: Pos2, radius: f32) -> Vec<Pos2> {
    let corners = if radius > 7.0 { 32 } else { 20 };
    (0..corners)
        .map(|k| {
            let (sin, cos) = (k as f32 / corners as f32 * std::f32::consts::TAU).sin_cos();
            at + vec2(cos, sin) * radius
        })
        .collect()
}
