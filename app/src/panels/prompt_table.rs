//! The latents of a prompt, ranked; and those that are pinned, token by token.

use crate::commands::{Command, PromptCommand};
use crate::context::Cx;
use crate::format;
use crate::forms::{PromptForm, PromptRow, Rank};
use crate::theme::palette;
use crate::widgets::card::{card, ring, titled, weak};
use crate::widgets::token_strip::{Shaded, shaded};
use egui::{
    Align2, Color32, FontId, Label, Rect, Role, ScrollArea, Sense, Stroke, Ui, Vec2, WidgetInfo,
    pos2, vec2,
};
use sparsescope_core::features::{Fired, PromptReading};
use sparsescope_core::workspace::SaeId;

const ROW: f32 = 27.0;

/// What a latent on a token is ranked by.
pub fn value(rank: Rank, fired: &Fired) -> f32 {
    match rank {
        Rank::Activation => fired.activation,
        Rank::Direct => fired.direct,
        Rank::Attribution => fired.attribution,
    }
}

fn of(rank: Rank, row: &PromptRow) -> f32 {
    match rank {
        Rank::Activation => row.activation,
        Rank::Direct => row.direct,
        Rank::Attribution => row.attribution,
    }
}

/// Makes the table anew if what it was made from has changed.
pub fn refresh(form: &mut PromptForm, reading: &PromptReading, version: u64) {
    form.token = form.token.filter(|t| *t < reading.tokens.len());
    let key = (version, form.token, form.rank);
    if form.key == Some(key) {
        return;
    }
    form.rows = rows(reading, form.token, form.rank);
    form.key = Some(key);
}

/// The latents on one token, or on the whole prompt (activations: the greatest; effects: the sum),
/// the greatest size first; of equals the lower number.
fn rows(reading: &PromptReading, token: Option<usize>, rank: Rank) -> Vec<PromptRow> {
    let mut rows: Vec<PromptRow> = Vec::new();
    let mut fired: Vec<&Fired> =
        reading.fired.iter().filter(|f| token.is_none_or(|t| t == f.position as usize)).collect();
    fired.sort_by_key(|f| (f.latent, f.position));
    for f in fired {
        match rows.last_mut() {
            Some(row) if row.latent == f.latent => {
                if f.activation > row.activation {
                    row.activation = f.activation;
                    row.position = f.position as usize;
                }
                row.direct += f.direct;
                row.attribution += f.attribution;
            }
            _ => rows.push(PromptRow {
                latent: f.latent,
                position: f.position as usize,
                activation: f.activation,
                direct: f.direct,
                attribution: f.attribution,
            }),
        }
    }
    rows.sort_by(|a, b| {
        of(rank, b).abs().total_cmp(&of(rank, a).abs()).then(a.latent.cmp(&b.latent))
    });
    rows
}

/// The table's columns: where they end as a share of the width, and what they say.
const COLUMNS: [(Rank, &str, f32, &str); 3] = [
    (
        Rank::Activation,
        "Activation",
        0.62,
        "How strongly it fires: on the chosen token, or the greatest over the prompt.",
    ),
    (
        Rank::Direct,
        "Direct effect",
        0.80,
        "What it adds to the metric past all later blocks: f · ⟨d, u⟩ / rms, with the final norm \
         held as it is. Only latents on the token whose successor is asked about have one.",
    ),
    (
        Rank::Attribution,
        "Attribution",
        0.98,
        "What would go from the metric with it, to first order: f · ⟨∂metric/∂x, d⟩ (attribution \
         patching against 0), summed over the tokens listed. Later blocks are in it.",
    ),
];

/// Draws the table.
pub fn table(ui: &mut Ui, cx: &Cx<'_>, form: &mut PromptForm, reading: &PromptReading, sae: SaeId) {
    let title = match form.token {
        Some(token) => format!("Latents on {:?}", reading.tokens[token].1),
        None => "Latents on the whole prompt".to_owned(),
    };
    let note = format!("{} fire", format::grouped(form.rows.len() as u64));
    titled(ui, &title, &note, |ui| {
        ui.spacing_mut().item_spacing.y = 0.0;
        heads(ui, form);
        if form.rows.is_empty() {
            ui.add_space(14.0);
            let said = if form.token.is_some_and(|t| t < reading.first) {
                "This token begins every text; the dictionary was not trained on it."
            } else {
                "No latent fires here."
            };
            ui.label(weak(ui, said));
            ui.add_space(10.0);
            return;
        }
        let most = form.rows.iter().map(|r| of(form.rank, r).abs()).fold(0.0, f32::max);
        let rows = std::mem::take(&mut form.rows);
        let height = (ROW * rows.len() as f32).min(ROW * 16.0);
        ScrollArea::vertical()
            .id_salt("fired")
            .max_height(height)
            .min_scrolled_height(height)
            .auto_shrink([false, true])
            .show_rows(ui, ROW, rows.len(), |ui, range| {
                for row in &rows[range] {
                    line(ui, cx, form, reading, row, most, sae);
                }
            });
        form.rows = rows;
        if let Some(token) = form.token.filter(|t| *t >= reading.first) {
            let left = format::percent(f64::from(reading.unexplained[token]));
            ui.add_space(8.0);
            let said =
                format!("The dictionary leaves {left} of this token's activation unexplained.");
            ui.add(Label::new(weak(ui, said)).wrap())
                .on_hover_text("‖x − x̂‖² / ‖x‖² at this token");
        }
    });
}

fn heads(ui: &mut Ui, form: &mut PromptForm) {
    let p = palette(ui);
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), 26.0), Sense::hover());
    let font = FontId::proportional(12.0);
    let at = pos2(rect.min.x + 34.0, rect.center().y);
    ui.painter().text(at, Align2::LEFT_CENTER, "Latent", font.clone(), p.weak);
    let mut from = rect.min.x + rect.width() * 0.46;
    for (rank, name, end, definition) in COLUMNS {
        let to = rect.min.x + rect.width() * end;
        let place = Rect::from_min_max(pos2(from, rect.min.y), pos2(to, rect.max.y));
        from = to;
        let response = ui.interact(place, ui.scope_id().with(name), Sense::click());
        response.widget_info(|| {
            WidgetInfo::selected(Role::Button, true, form.rank == rank, format!("Rank by {name}"))
        });
        if response.clicked() {
            form.rank = rank;
        }
        let sorted = form.rank == rank;
        let ink = if sorted || response.hovered() { p.text } else { p.weak };
        let text = if sorted { format!("{name} ↓") } else { name.to_owned() };
        let at = pos2(place.max.x, place.center().y);
        ui.painter().text(at, Align2::RIGHT_CENTER, text, font.clone(), ink);
        ring(ui, response).on_hover_text(definition);
    }
    ui.painter().hline(rect.x_range(), rect.max.y, Stroke::new(1.0, p.line));
}

fn line(
    ui: &mut Ui,
    cx: &Cx<'_>,
    form: &mut PromptForm,
    reading: &PromptReading,
    row: &PromptRow,
    most: f32,
    sae: SaeId,
) {
    let p = palette(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::click());
    response.widget_info(|| {
        WidgetInfo::labeled(Role::Button, true, format!("Open latent {}", row.latent))
    });
    if response.clicked() {
        cx.send(Command::Prompt(PromptCommand::Show(row.latent)));
    }
    if response.hovered() {
        ui.painter().rect_filled(rect, 5.0, p.hover);
    }
    let pin = Rect::from_center_size(pos2(rect.min.x + 14.0, rect.center().y), Vec2::splat(22.0));
    let pinned = form.pins.contains(&(sae, row.latent));
    if star(ui, pin, pinned, row.latent) {
        toggle(form, sae, row.latent);
    }
    let figures = FontId::monospace(12.5);
    let painter = ui.painter();
    let at = pos2(rect.min.x + 34.0, rect.center().y);
    let number = painter.text(
        at,
        Align2::LEFT_CENTER,
        row.latent.to_string(),
        figures.clone(),
        if response.hovered() { p.accent } else { p.text },
    );
    let name = match cx.state.features.label(row.latent) {
        Some(label) => label.to_owned(),
        None if form.token.is_none() => {
            format!("on “{}”", reading.tokens[row.position].1.trim())
        }
        None => String::new(),
    };
    let room = Rect::from_min_max(
        pos2(number.max.x + 10.0, rect.min.y),
        pos2(rect.min.x + rect.width() * 0.46, rect.max.y),
    );
    let galley = egui::WidgetText::from(egui::RichText::new(name).size(12.5).color(p.weak))
        .into_galley(
            ui,
            Some(egui::TextWrapMode::Truncate),
            room.width(),
            FontId::proportional(12.5),
        );
    let painter = ui.painter();
    painter.galley(pos2(room.min.x, rect.center().y - galley.size().y / 2.0), galley, p.weak);
    for (rank, _, end, _) in COLUMNS {
        let value = of(rank, row);
        let right = rect.min.x + rect.width() * end;
        if rank == form.rank && most > 0.0 {
            let wide = rect.width() * 0.15 * (value.abs() / most);
            let bar = Rect::from_min_max(
                pos2(right - wide, rect.max.y - 5.0),
                pos2(right, rect.max.y - 2.5),
            );
            painter.rect_filled(bar, 1.0, sign(value, p));
        }
        let nothing = value == 0.0;
        let text = match (nothing, rank) {
            (true, _) => "–".to_owned(),
            (_, Rank::Activation) => format::figure(f64::from(value)),
            _ => format!("{value:+.3}"),
        };
        let ink = match (nothing, rank == form.rank) {
            (true, _) => p.faint,
            (_, true) => p.text,
            _ => p.weak,
        };
        let at = pos2(right, rect.center().y - 1.0);
        painter.text(at, Align2::RIGHT_CENTER, text, figures.clone(), ink);
    }
    ring(ui, response);
}

/// For or against.
fn sign(value: f32, p: &crate::theme::Palette) -> Color32 {
    if value >= 0.0 { p.accent } else { p.bad }
}

fn toggle(form: &mut PromptForm, sae: SaeId, latent: u32) {
    if !form.pins.remove(&(sae, latent)) {
        form.pins.insert((sae, latent));
    }
}

fn star(ui: &mut Ui, rect: Rect, on: bool, latent: u32) -> bool {
    let p = palette(ui);
    let response = ui.interact(rect, ui.scope_id().with(("pin", latent)), Sense::click());
    response.widget_info(|| {
        WidgetInfo::selected(Role::CheckBox, true, on, format!("Pin latent {latent}"))
    });
    let points: Vec<_> = (0..10)
        .map(|i| {
            let r = if i % 2 == 0 { 6.2 } else { 2.7 };
            let (s, c) = (std::f32::consts::PI * (0.2 * i as f32 - 0.5)).sin_cos();
            rect.center() + r * vec2(c, s)
        })
        .collect();
    let ink = match (on, response.hovered() || response.has_focus()) {
        (true, _) => p.glow,
        (_, true) => p.accent,
        _ => p.faint,
    };
    if on {
        // A star is not convex: ten triangles from its middle.
        for i in 0..10 {
            let triangle = vec![rect.center(), points[i], points[(i + 1) % 10]];
            ui.painter().add(egui::Shape::convex_polygon(triangle, ink, Stroke::NONE));
        }
    }
    ui.painter().add(egui::Shape::closed_line(points, Stroke::new(1.2, ink)));
    let clicked = response.clicked();
    response.on_hover_text(if on { "Unpin" } else { "Pin: it stays in sight" });
    clicked
}

/// Draws the pinned latents on the prompt.
pub fn pinned(
    ui: &mut Ui,
    cx: &Cx<'_>,
    form: &mut PromptForm,
    reading: &PromptReading,
    sae: SaeId,
) {
    let pins: Vec<u32> = form.pins.iter().filter(|p| p.0 == sae).map(|p| p.1).collect();
    if pins.is_empty() {
        card(ui, |ui| {
            let said = "Pin a latent with its star: it then stands here on every text you type.";
            ui.add(Label::new(weak(ui, said)).wrap());
        });
        return;
    }
    let texts: Vec<String> = reading.tokens.iter().map(|t| t.1.clone()).collect();
    titled(ui, "Pinned", "", |ui| {
        for latent in pins {
            ui.horizontal(|ui| {
                let (rect, _) = ui.allocate_exact_size(Vec2::splat(22.0), Sense::hover());
                if star(ui, rect, true, latent) {
                    toggle(form, sae, latent);
                }
                if ui.link(crate::theme::mono(latent.to_string(), 13.0)).clicked() {
                    cx.send(Command::Prompt(PromptCommand::Show(latent)));
                }
                if let Some(label) = cx.state.features.label(latent) {
                    ui.add(Label::new(weak(ui, label)).truncate());
                }
            });
            let mut activations = vec![0.0; texts.len()];
            for f in reading.fired.iter().filter(|f| f.latent == latent) {
                activations[f.position as usize] = f.activation;
            }
            let here = activations.iter().copied().fold(0.0, f32::max);
            let most = cx.state.features.summary(latent).map_or(here, |l| l.max.max(here));
            let strip = Shaded {
                tokens: &texts,
                activations: &activations,
                next: &[],
                full: most,
                peak: None,
                lines: 6,
            };
            shaded(ui, &strip);
            ui.add_space(6.0);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use sparsescope_core::llama::{NextToken, Site};

    #[test]
    fn latents_are_ranked_on_a_token_and_over_the_prompt() {
        let fired = |position, latent, activation, direct, attribution| Fired {
            position,
            latent,
            activation,
            direct,
            attribution,
        };
        let token = NextToken { id: 0, text: String::new(), logit: 0.0, probability: 0.0 };
        let reading = PromptReading {
            tokens: vec![(0, "a".into()), (1, "b".into()), (2, "c".into())],
            first: 1,
            cut: 0,
            site: Site::Resid(0),
            position: 2,
            next: Vec::new(),
            target: token,
            against: None,
            metric: 0.0,
            fired: vec![
                fired(1, 5, 2.0, 0.0, -0.5),
                fired(1, 7, 1.0, 0.0, 0.05),
                fired(2, 5, 3.0, 0.2, 0.4),
                fired(2, 9, 0.5, -0.9, 0.2),
            ],
            unexplained: vec![0.0; 3],
        };
        let latents =
            |token, rank| rows(&reading, token, rank).iter().map(|r| r.latent).collect::<Vec<_>>();
        assert_eq!(latents(Some(1), Rank::Activation), [5, 7]);
        assert_eq!(latents(Some(1), Rank::Attribution), [5, 7]);
        assert_eq!(latents(None, Rank::Activation), [5, 7, 9]);
        assert_eq!(latents(None, Rank::Direct), [9, 5, 7]);
        assert_eq!(latents(None, Rank::Attribution), [9, 5, 7]);
        let whole = rows(&reading, None, Rank::Activation)[0];
        assert_eq!((whole.position, whole.activation), (2, 3.0));
        assert!((whole.attribution + 0.1).abs() < 1e-6, "{}", whole.attribution);
    }
}
