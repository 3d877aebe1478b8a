//! What the colours of the direction map say, and the key to them.

use crate::context::Cx;
use crate::format;
use crate::forms::{ColorKey, Coloring, DirectionsForm, Legend, sites_of};
use crate::theme::{Palette, palette};
use egui::{Align2, Color32, FontId, Mesh, Painter, Rect, Shape, Ui, pos2, vec2};
use sparsescope_core::features::LatentSummary;
use sparsescope_core::labels::LabelSource;

/// Makes colours, search hits and selection anew where what they come from has changed.
pub fn refresh(ui: &Ui, cx: &Cx<'_>, form: &mut DirectionsForm, points: usize) {
    let state = &cx.state.directions;
    let features = &cx.state.features;
    let key = ColorKey {
        coloring: form.coloring,
        dark: ui.visuals().dark_mode,
        features: features.version,
        directions: state.version,
        labels: (features.labels.len(), cx.state.labels.version),
    };
    if form.colored != Some(key) || form.colors.len() != points {
        (form.colors, form.legend) = colors(cx, form.coloring, points, palette(ui));
        form.colored = Some(key);
        form.look += 1;
    }
    let asked = (form.search.trim().to_lowercase(), key);
    if form.searched.as_ref() != Some(&asked) {
        form.found = find(cx, &asked.0, points);
        form.searched = Some(asked);
        form.look += 1;
    }
    if form.selected != state.selection {
        form.selected.clone_from(&state.selection);
        form.look += 1;
    }
}

/// Latents whose number is this, or whose label has these words.
fn find(cx: &Cx<'_>, text: &str, points: usize) -> Vec<u32> {
    if text.is_empty() {
        return Vec::new();
    }
    if let Ok(number) = text.trim_start_matches('#').parse::<u32>() {
        return if (number as usize) < points { vec![number] } else { Vec::new() };
    }
    let fits = |label: &str| label.to_lowercase().contains(text);
    (0..points as u32).filter(|l| cx.state.features.label(*l).is_some_and(fits)).collect()
}

fn colors(cx: &Cx<'_>, coloring: Coloring, points: usize, p: &Palette) -> (Vec<Color32>, Legend) {
    let features = &cx.state.features;
    let table = features.table.as_deref();
    let plain = || (vec![p.series[0]; points], Legend::None);
    match coloring {
        Coloring::Density | Coloring::Max => {
            let Some(table) = table else { return plain() };
            let (name, of): (_, fn(&LatentSummary) -> f32) = match coloring {
                Coloring::Density => ("Density, log scale", |l| l.density),
                _ => ("Max activation, log scale", |l| l.max),
            };
            let write = match coloring {
                Coloring::Density => format::percent,
                _ => format::figure,
            };
            ramp(table.latents.iter().map(|l| (l.index, of(l))), points, name, write, p)
        }
        Coloring::Label => {
            let none = p.faint.gamma_multiply(0.5);
            let mut kinds: Vec<(Color32, String, usize)> = [
                (0, "by hand"),
                (2, "by a language model"),
                (1, "from the truth"),
                (4, "imported"),
            ]
            .map(|(i, name)| (p.series[i], name.to_owned(), 0))
            .to_vec();
            let mut colors = vec![none; points];
            for label in &features.labels {
                let kind = match label.source {
                    LabelSource::Hand => 0,
                    LabelSource::Model { .. } => 1,
                    LabelSource::Truth { .. } => 2,
                    LabelSource::Import { .. } => 3,
                };
                if let Some(color) = colors.get_mut(label.latent as usize) {
                    *color = kinds[kind].0;
                    kinds[kind].2 += 1;
                }
            }
            kinds.retain(|(.., count)| *count > 0);
            let labelled: usize = kinds.iter().map(|k| k.2).sum();
            kinds.push((none, "none".to_owned(), points - labelled));
            (colors, Legend::Kinds { name: "Label", kinds })
        }
        Coloring::Site => {
            let Some(relatives) = cx.state.directions.relatives.as_deref() else { return plain() };
            let sites = sites_of(&relatives.among);
            let color = |site| {
                let at = sites.iter().position(|s| *s == site).unwrap_or(0);
                p.on_ramp(at as f32 / (sites.len().max(2) - 1) as f32)
            };
            let none = p.faint.gamma_multiply(0.4);
            let of = |latent: usize| relatives.best.get(latent).copied().flatten();
            let colors = (0..points).map(|l| of(l).map_or(none, |b| color(b.site))).collect();
            let count = |site| relatives.best.iter().flatten().filter(|b| b.site == site).count();
            let kinds =
                sites.iter().map(|s| (color(*s), s.to_string(), count(*s))).collect::<Vec<_>>();
            (colors, Legend::Kinds { name: "Nearest direction at another site", kinds })
        }
    }
}

/// Colours of positive values on a logarithmic ramp; zero means that a latent never fired.
fn ramp(
    values: impl Iterator<Item = (u32, f32)> + Clone,
    points: usize,
    name: &'static str,
    write: fn(f64) -> String,
    p: &Palette,
) -> (Vec<Color32>, Legend) {
    let none = p.faint.gamma_multiply(0.45);
    let alive = values.clone().map(|(_, v)| v).filter(|v| *v > 0.0 && v.is_finite());
    let (least, most) =
        alive.clone().fold((f32::INFINITY, 0.0f32), |(a, b), v| (a.min(v), b.max(v)));
    let (low, high) = (least.ln(), most.ln());
    let share = |v: f32| if high > low { (v.ln() - low) / (high - low) } else { 1.0 };
    let mut colors = vec![none; points];
    for (index, v) in values {
        if let Some(color) = colors.get_mut(index as usize).filter(|_| v > 0.0 && v.is_finite()) {
            *color = p.on_ramp(share(v));
        }
    }
    let count = alive.count();
    if count == 0 {
        return (colors, Legend::None);
    }
    let without = (count < points)
        .then(|| format!("{} never fired", format::grouped((points - count) as u64)));
    let (from, to) = (write(f64::from(least)), write(f64::from(most)));
    (colors, Legend::Ramp { name, from, to, without })
}

/// Draws the key into the lower left corner of `room`.
pub fn legend(ui: &Ui, legend: &Legend, room: Rect) {
    let p = palette(ui);
    let painter = ui.painter();
    let small = FontId::proportional(12.0);
    let mono = FontId::monospace(11.5);
    match legend {
        Legend::None => {}
        Legend::Ramp { name, from, to, without } => {
            let lines = if without.is_some() { 3.0 } else { 2.0 };
            let size = vec2(188.0, 22.0 + lines * 17.0);
            let at = ground(painter, room, size, p);
            painter.text(at.left_top(), Align2::LEFT_TOP, name, small.clone(), p.weak);
            let bar = Rect::from_min_size(at.left_top() + vec2(0.0, 20.0), vec2(at.width(), 8.0));
            let mut mesh = Mesh::default();
            for i in 0..32 {
                let x = |i: f32| bar.left() + bar.width() * i / 32.0;
                let i = i as f32;
                // Each lies over what is left, so that no seam shows.
                let part = Rect::from_min_max(pos2(x(i), bar.top()), bar.max);
                mesh.add_colored_rect(part, p.on_ramp((i + 0.5) / 32.0));
            }
            painter.add(Shape::mesh(mesh));
            let below = bar.left_bottom() + vec2(0.0, 4.0);
            painter.text(below, Align2::LEFT_TOP, from, mono.clone(), p.text);
            let right = bar.right_bottom() + vec2(0.0, 4.0);
            painter.text(right, Align2::RIGHT_TOP, to, mono, p.text);
            if let Some(without) = without {
                let at = below + vec2(0.0, 18.0);
                painter.circle_filled(at + vec2(4.0, 7.0), 4.0, p.faint.gamma_multiply(0.45));
                painter.text(at + vec2(14.0, 0.0), Align2::LEFT_TOP, without, small, p.weak);
            }
        }
        Legend::Kinds { name, kinds } => {
            let size = vec2(212.0, 20.0 + kinds.len() as f32 * 18.0);
            let at = ground(painter, room, size, p);
            painter.text(at.left_top(), Align2::LEFT_TOP, name, small.clone(), p.weak);
            for (i, (color, kind, count)) in kinds.iter().enumerate() {
                let line = at.left_top() + vec2(0.0, 20.0 + i as f32 * 18.0);
                painter.circle_filled(line + vec2(5.0, 7.0), 4.5, *color);
                let name = line + vec2(16.0, 0.0);
                painter.text(name, Align2::LEFT_TOP, kind, small.clone(), p.text);
                let right = pos2(at.right(), line.y);
                let count = format::grouped(*count as u64);
                painter.text(right, Align2::RIGHT_TOP, count, mono.clone(), p.weak);
            }
        }
    }
}

fn ground(painter: &Painter, room: Rect, size: egui::Vec2, p: &Palette) -> Rect {
    let corner = pos2(room.left(), room.bottom() - size.y);
    let rect = Rect::from_min_size(corner, size);
    painter.rect_filled(rect.expand2(vec2(8.0, 6.0)), 8.0, p.card.gamma_multiply(0.88));
    rect
}
