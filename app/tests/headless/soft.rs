//! A CPU rasteriser for egui's meshes: the pictures need no GPU, no driver and no display, and
//! are the same on every machine.

use egui::epaint::{Mesh, Primitive, Vertex};
use egui::{Color32, ColorImage, FullOutput, ImageData, Pos2, Rect, TextureId, TexturesDelta};
use image::RgbaImage;
use std::collections::HashMap;

#[derive(Default)]
pub struct SoftRenderer {
    textures: HashMap<TextureId, ColorImage>,
}

/// A colour or a place in the texture, changing linearly over a triangle: value at the origin and
/// its change a pixel to the right and a pixel down.
#[derive(Clone, Copy)]
struct Plane {
    at: f32,
    dx: f32,
    dy: f32,
}

impl Plane {
    fn through(p: [Pos2; 3], v: [f32; 3], area: f32) -> Self {
        let (a, b) = (p[1] - p[0], p[2] - p[0]);
        let (u, w) = (v[1] - v[0], v[2] - v[0]);
        let dx = (u * b.y - w * a.y) / area;
        let dy = (w * a.x - u * b.x) / area;
        Self { at: v[0] - dx * p[0].x - dy * p[0].y, dx, dy }
    }

    fn value(self, x: f32, y: f32) -> f32 {
        self.at + self.dx * x + self.dy * y
    }
}

fn texel(image: &ColorImage, u: f32, v: f32) -> [f32; 4] {
    let [w, h] = image.size;
    let x = (u * w as f32 - 0.5).clamp(0.0, (w - 1) as f32);
    let y = (v * h as f32 - 0.5).clamp(0.0, (h - 1) as f32);
    let (x0, y0) = (x as usize, y as usize);
    let (fx, fy) = (x - x0 as f32, y - y0 as f32);
    let get = |x: usize, y: usize| image.pixels[y.min(h - 1) * w + x.min(w - 1)].to_array();
    let corners = [get(x0, y0), get(x0 + 1, y0), get(x0, y0 + 1), get(x0 + 1, y0 + 1)];
    std::array::from_fn(|c| {
        let [a, b, d, e] = corners.map(|corner| f32::from(corner[c]));
        (a * (1.0 - fx) + b * fx) * (1.0 - fy) + (d * (1.0 - fx) + e * fx) * fy
    })
}

/// Where the line y cuts the triangle, from left to right.
fn span(p: [Pos2; 3], y: f32) -> Option<(f32, f32)> {
    let (mut left, mut right) = (f32::INFINITY, f32::NEG_INFINITY);
    for i in 0..3 {
        let (a, b) = (p[i], p[(i + 1) % 3]);
        // Half open: a corner between two edges is counted once.
        if (a.y <= y) != (b.y <= y) {
            let x = a.x + (y - a.y) / (b.y - a.y) * (b.x - a.x);
            left = left.min(x);
            right = right.max(x);
        }
    }
    (left < right).then_some((left, right))
}

struct Canvas {
    image: RgbaImage,
    clip: [u32; 4],
}

impl Canvas {
    fn triangle(&mut self, texture: &ColorImage, v: [&Vertex; 3], scale: f32) {
        let p = v.map(|v| v.pos * scale);
        let area = (p[1] - p[0]).x * (p[2] - p[0]).y - (p[2] - p[0]).x * (p[1] - p[0]).y;
        if area.abs() < 1e-9 {
            return;
        }
        let bounds = Rect::from_points(&p);
        let [x0, y0, x1, y1] = self.clip;
        let first = (bounds.min.y - 0.5).ceil().max(y0 as f32) as u32;
        let last = ((bounds.max.y - 0.5).ceil().max(0.0) as u32).min(y1);
        let colors = v.map(|v| v.color.to_array().map(f32::from));
        let flat = colors[0] == colors[1] && colors[1] == colors[2];
        let same_place = v[0].uv == v[1].uv && v[1].uv == v[2].uv;
        let plane = |values: [f32; 3]| Plane::through(p, values, area);
        let tint: [Plane; 4] = std::array::from_fn(|c| plane(colors.map(|color| color[c])));
        let (u, w) = (plane(v.map(|v| v.uv.x)), plane(v.map(|v| v.uv.y)));
        let still = same_place.then(|| texel(texture, v[0].uv.x, v[0].uv.y));
        for y in first..last {
            let middle = y as f32 + 0.5;
            let Some((left, right)) = span(p, middle) else { continue };
            let from = (left - 0.5).ceil().max(x0 as f32) as u32;
            let to = ((right - 0.5).ceil().max(0.0) as u32).min(x1);
            for x in from..to {
                let at = x as f32 + 0.5;
                let texel = still
                    .unwrap_or_else(|| texel(texture, u.value(at, middle), w.value(at, middle)));
                let color: [f32; 4] = std::array::from_fn(|c| {
                    let tint = if flat {
                        colors[0][c]
                    } else {
                        tint[c].value(at, middle).clamp(0.0, 255.0)
                    };
                    tint * texel[c] / 255.0
                });
                let rest = 1.0 - color[3] / 255.0;
                let pixel = &mut self.image.get_pixel_mut(x, y).0;
                for c in 0..4 {
                    pixel[c] = (color[c] + f32::from(pixel[c]) * rest).round().min(255.0) as u8;
                }
            }
        }
    }

    fn mesh(&mut self, texture: &ColorImage, mesh: &Mesh, scale: f32) {
        for corners in mesh.indices.chunks_exact(3) {
            let v = std::array::from_fn(|i| &mesh.vertices[corners[i] as usize]);
            self.triangle(texture, v, scale);
        }
    }
}

impl egui_kittest::TestRenderer for SoftRenderer {
    fn handle_delta(&mut self, delta: &mut TexturesDelta) {
        for (id, deltas) in std::mem::take(&mut delta.set) {
            for delta in deltas {
                let ImageData::Color(image) = delta.image;
                let Some([left, top]) = delta.pos else {
                    self.textures.insert(id, (*image).clone());
                    continue;
                };
                let Some(whole) = self.textures.get_mut(&id) else { continue };
                let width = whole.size[0];
                for (y, row) in image.pixels.chunks_exact(image.size[0]).enumerate() {
                    let at = (top + y) * width + left;
                    whole.pixels[at..at + row.len()].copy_from_slice(row);
                }
            }
        }
        for id in std::mem::take(&mut delta.free) {
            self.textures.remove(&id);
        }
    }

    fn render(&mut self, ctx: &egui::Context, output: &FullOutput) -> Result<RgbaImage, String> {
        let scale = output.pixels_per_point;
        let size = (ctx.content_rect().size() * scale).round();
        let (w, h) = (size.x as u32, size.y as u32);
        let ground = image::Rgba(Color32::BLACK.to_array());
        let mut canvas = Canvas { image: RgbaImage::from_pixel(w, h, ground), clip: [0, 0, w, h] };
        for job in ctx.tessellate(output.shapes.clone(), scale) {
            let Primitive::Mesh(mesh) = &job.primitive else { continue };
            let Some(texture) = self.textures.get(&mesh.texture_id) else { continue };
            let (min, max) =
                ((job.clip_rect.min * scale).round(), (job.clip_rect.max * scale).round());
            canvas.clip = [
                min.x.clamp(0.0, size.x) as u32,
                min.y.clamp(0.0, size.y) as u32,
                max.x.clamp(0.0, size.x) as u32,
                max.y.clamp(0.0, size.y) as u32,
            ];
            canvas.mesh(texture, mesh, scale);
        }
        Ok(canvas.image)
    }
}
