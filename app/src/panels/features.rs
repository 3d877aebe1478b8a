//! The features screen: a list of latents, and for the chosen one the texts it fires in.
//!
//! What a person wants to know here: what has the dictionary learnt, which latents are worth
//! reading (frequent, strong, alive), and what does this one stand for.

use crate::commands::{Command, LabelsCommand};
use crate::context::Cx;
use crate::format;
use crate::forms::{DataForm, Density, FeatureForm, Order, RowsKey};
use crate::panels::{company, hits, latent};
use crate::state::Screen;
use crate::theme::{self, palette};
use crate::widgets::card::{button, empty, failure, ring, screen_head, weak};
use crate::widgets::icon::Icon;
use egui::{
    Align2, ComboBox, FontId, Frame, Label, Margin, Rect, Role, ScrollArea, Sense, Stroke,
    TextEdit, Ui, WidgetInfo, pos2, vec2,
};
use sparsescope_core::features::{FeatureTable, LatentSummary};

const ROW: f32 = 26.0;

/// Draws the screen.
pub fn features(ui: &mut Ui, cx: &Cx<'_>, form: &mut FeatureForm, data: &DataForm) {
    let state = &cx.state.features;
    let said = match &state.sae {
        Some(sae) => format!(
            "{} on {}: {} latents, from {}",
            sae.architecture,
            sae.site,
            format::grouped(sae.latents as u64),
            sae.corpus.rsplit('/').next().unwrap_or(&sae.corpus)
        ),
        None => "What each latent of a dictionary fires on.".to_owned(),
    };
    screen_head(ui, "Features", &said);
    if let Some(error) = &state.failure {
        if failure(ui, error, true) {
            cx.send(Command::DismissFailure(Screen::Features));
        }
        ui.add_space(8.0);
    }
    let Some(table) = state.table.as_deref() else {
        nothing(ui, cx, data);
        return;
    };
    refresh(form, table, state.version);
    let height = ui.available_height();
    let wide = (ui.available_width() * 0.4).clamp(290.0, 520.0);
    ui.horizontal_top(|ui| {
        ui.allocate_ui(vec2(wide, height), |ui| {
            ui.set_width(wide);
            ui.vertical(|ui| list(ui, cx, form, table));
        });
        ui.add_space(4.0);
        ui.vertical(|ui| {
            ScrollArea::vertical().id_salt("latent").auto_shrink(false).show(ui, |ui| {
                latent::latent(ui, cx, form, table);
            });
        });
    });
}

fn nothing(ui: &mut Ui, cx: &Cx<'_>, data: &DataForm) {
    let state = &cx.state.features;
    if state.pending || cx.state.jobs.iter().any(|j| j.kind == crate::jobs::Kind::Collect) {
        empty(
            ui,
            Icon::Features,
            "Collecting features",
            "The corpus is read once; densities and the strongest contexts of every latent come \
             out of it.",
            None,
        );
        return;
    }
    if state.sae.is_some() {
        let text = "This SAE has no features yet. Collecting reads the corpus once and keeps, for \
                    every latent, its density and the texts it fires in most strongly.";
        if empty(ui, Icon::Features, "No features collected", text, Some("Collect features"))
            && let Some(corpus) = data.corpus()
        {
            let tokens = crate::work::features::TOKENS;
            cx.send(Command::Collect { corpus, rows: data.rows, tokens });
        }
        return;
    }
    let text = "Train an SAE, or run the tour at home: its latents stand here, with the texts they \
                fire in.";
    if empty(ui, Icon::Features, "No SAE is open", text, Some("Go to Train")) {
        cx.send(Command::Go(Screen::Train));
    }
}

fn list(ui: &mut Ui, cx: &Cx<'_>, form: &mut FeatureForm, table: &FeatureTable) {
    let p = palette(ui);
    ui.horizontal(|ui| {
        let room = ui.available_width() - 116.0;
        let field = TextEdit::singleline(&mut form.filter)
            .hint_text("Words, or a number")
            .desired_width(room);
        let response = ui.add(field).accessible_name("Search latents");
        if response.changed() {
            typed(cx, form, table);
        }
        ring(ui, response);
        ui.checkbox(&mut form.hide_dead, "Alive only")
            .on_hover_text("Leaves out latents that never fired in the sample");
    });
    Frame::new()
        .fill(p.card)
        .stroke(Stroke::new(1.0, p.line))
        .corner_radius(10)
        .inner_margin(Margin::symmetric(6, 6))
        .show(ui, |ui| {
            ui.spacing_mut().item_spacing.y = 0.0;
            if searches(&form.filter) {
                hits::hits(ui, cx);
                return;
            }
            heads(ui, form);
            let count = form.rows.len();
            let place = chosen(cx, table);
            let mut area = ScrollArea::vertical().id_salt("latents").auto_shrink(false);
            let height = ui.available_height() - 30.0;
            area = area.max_height(height);
            if std::mem::take(&mut form.to_top) {
                area = area.vertical_scroll_offset(0.0);
            }
            if std::mem::take(&mut form.reveal)
                && let Some(at) = form.rows.iter().position(|&i| Some(i) == place)
            {
                area = area.vertical_scroll_offset((at as f32 * ROW - height / 2.0).max(0.0));
            }
            if count == 0 {
                ui.add_space(30.0);
                ui.vertical_centered(|ui| ui.label(weak(ui, "No latent is alive.")));
                ui.add_space(ui.available_height() - 40.0);
            } else {
                area.show_rows(ui, ROW, count, |ui, range| {
                    for place in &form.rows[range] {
                        row(ui, cx, &table.latents[*place as usize]);
                    }
                });
            }
            ui.add_space(4.0);
            let all = table.latents.len();
            let said = format!(
                "{} of {} latents",
                format::grouped(count as u64),
                format::grouped(all as u64)
            );
            ui.label(weak(ui, said));
        });
    keys(ui, cx, form, table);
}

/// Whether what was typed is words to look for rather than a latent's number.
fn searches(typed: &str) -> bool {
    let typed = typed.trim();
    !typed.is_empty() && typed.parse::<u32>().is_err()
}

/// What follows from typing: words are looked for in the background, a number is jumped to.
fn typed(cx: &Cx<'_>, form: &mut FeatureForm, table: &FeatureTable) {
    let words = if searches(&form.filter) { form.filter.clone() } else { String::new() };
    cx.send(Command::Labels(LabelsCommand::Search(words)));
    if let Ok(number) = form.filter.trim().parse::<u32>()
        && table.latents.iter().any(|l| l.index == number)
    {
        cx.send(Command::Latent(Some(number)));
    }
}

/// The place in the table of the chosen latent.
fn chosen(cx: &Cx<'_>, table: &FeatureTable) -> Option<u32> {
    let latent = cx.state.features.latent?;
    table.latents.iter().position(|l| l.index == latent).map(|i| i as u32)
}

/// Up and down walk through the list while nothing is being typed.
fn keys(ui: &Ui, cx: &Cx<'_>, form: &mut FeatureForm, table: &FeatureTable) {
    if ui.ctx().memory(|m| m.focused().is_some()) {
        return;
    }
    let by = ui.input(|i| {
        i32::from(i.key_pressed(egui::Key::ArrowDown))
            - i32::from(i.key_pressed(egui::Key::ArrowUp))
    });
    if by == 0 || form.rows.is_empty() {
        return;
    }
    let place = chosen(cx, table);
    let now = form.rows.iter().position(|&i| Some(i) == place);
    let next = now.map_or(0, |at| at.saturating_add_signed(by as isize)).min(form.rows.len() - 1);
    cx.send(Command::Latent(Some(table.latents[form.rows[next] as usize].index)));
    form.reveal = true;
}

/// The columns at the right, from the right: width, what it is.
const COLUMNS: [(Order, &str, f32, &str); 3] = [
    (Order::Mean, "Mean", 62.0, "Mean of its activation over the tokens where it fires."),
    (Order::Max, "Max", 62.0, "Its greatest activation in the sample."),
    (Order::Density, "Density", 76.0, "Share of the sample's tokens on which it fires."),
];

/// Width of the latent's number.
const NUMBER: f32 = 52.0;

/// Least width of the list in which means and maxima have room beside the labels.
const ROOMY: f32 = 380.0;

/// Where each column of figures is in a row, from the right; and what is left for the label.
fn columns(rect: Rect) -> (Vec<(Order, &'static str, &'static str, Rect)>, Rect) {
    let mut right = rect.max.x - 4.0;
    let mut out = Vec::new();
    for (order, name, width, definition) in COLUMNS {
        if order != Order::Density && rect.width() < ROOMY {
            continue;
        }
        let place = Rect::from_min_max(pos2(right - width, rect.min.y), pos2(right, rect.max.y));
        out.push((order, name, definition, place));
        right -= width;
    }
    let label = Rect::from_min_max(
        pos2(rect.min.x + NUMBER + 8.0, rect.min.y),
        pos2(right - 4.0, rect.max.y),
    );
    (out, label)
}

fn heads(ui: &mut Ui, form: &mut FeatureForm) {
    let p = palette(ui);
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), 26.0), Sense::hover());
    // Rows leave room for the bar of the list.
    let inner = rect.with_max_x(rect.max.x - ui.spacing().scroll.allocated_width());
    let (mut all, label) = columns(inner);
    let number = Rect::from_min_size(rect.min, vec2(NUMBER, rect.height()));
    all.push((Order::Index, "Latent", "Its number in the dictionary.", number));
    for (order, name, definition, place) in all {
        let response = ui.interact(place, ui.scope_id().with(name), Sense::click());
        response.widget_info(|| WidgetInfo::labeled(Role::Button, true, format!("Sort by {name}")));
        let sorted = form.order == order;
        if response.clicked() {
            form.descending = if sorted { !form.descending } else { order != Order::Index };
            form.order = order;
        }
        let mark = if form.descending { "↓" } else { "↑" };
        let text = if sorted { format!("{name} {mark}") } else { name.to_owned() };
        let ink = if sorted || response.hovered() { p.text } else { p.weak };
        let at = pos2(place.max.x, place.center().y);
        ui.painter().text(at, Align2::RIGHT_CENTER, text, FontId::proportional(12.0), ink);
        ring(ui, response).on_hover_text(definition);
    }
    let at = pos2(label.min.x, label.center().y);
    ui.painter().text(at, Align2::LEFT_CENTER, "Label", FontId::proportional(12.0), p.weak);
    ui.painter().hline(rect.x_range(), rect.max.y, Stroke::new(1.0, p.line));
}

fn row(ui: &mut Ui, cx: &Cx<'_>, latent: &LatentSummary) {
    let p = palette(ui);
    let chosen = cx.state.features.latent == Some(latent.index);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::click());
    response.widget_info(|| {
        let name = format!("Latent {}", latent.index);
        WidgetInfo::selected(Role::Button, true, chosen, name)
    });
    if response.clicked() {
        cx.send(Command::Latent(Some(latent.index)));
    }
    let fill = match (chosen, response.hovered()) {
        (true, _) => p.accent_ground,
        (_, true) => p.hover,
        _ => egui::Color32::TRANSPARENT,
    };
    ui.painter().rect_filled(rect, 5.0, fill);
    let silent = latent.density <= 0.0;
    let font = FontId::monospace(12.5);
    let (all, room) = columns(rect);
    let ink = match (chosen, silent) {
        (true, _) => p.accent,
        (_, true) => p.faint,
        _ => p.text,
    };
    let at = pos2(rect.min.x + NUMBER, rect.center().y);
    ui.painter().text(at, Align2::RIGHT_CENTER, latent.index.to_string(), font.clone(), ink);
    for (order, _, _, place) in all {
        let text = match order {
            _ if silent => "–".to_owned(),
            Order::Density => format::percent(f64::from(latent.density)),
            Order::Max => format::figure(f64::from(latent.max)),
            _ => format::figure(f64::from(latent.mean)),
        };
        let at = pos2(place.max.x, rect.center().y);
        let ink = if silent { p.faint } else { p.weak };
        ui.painter().text(at, Align2::RIGHT_CENTER, text, font.clone(), ink);
    }
    let label = cx.state.features.label_of(latent.index);
    if let Some(label) = label {
        let font = FontId::proportional(13.0);
        let text = crate::fonts::drawable(ui.ctx(), &font, &label.text);
        let text = egui::RichText::new(text).font(font);
        let galley = egui::WidgetText::from(text).into_galley(
            ui,
            Some(egui::TextWrapMode::Truncate),
            room.width(),
            FontId::proportional(13.0),
        );
        let at = pos2(room.min.x, rect.center().y - galley.size().y / 2.0);
        ui.painter().galley(at, galley, if chosen { p.accent } else { p.text });
    }
    let response = ring(ui, response);
    if let Some(label) = label {
        let score = sparsescope_core::labels::score_of(label);
        let score = score.map_or(String::new(), |(score, what)| format!("\n{what}: {score:.3}"));
        response.on_hover_text(format!("{} ({}){score}", label.text, label.source.short()));
    }
}

/// Makes the list anew if what it was made from has changed.
fn refresh(form: &mut FeatureForm, table: &FeatureTable, version: u64) {
    let key = RowsKey {
        version,
        order: form.order,
        descending: form.descending,
        hide_dead: form.hide_dead,
    };
    if form.key.as_ref() == Some(&key) {
        return;
    }
    if form.key.as_ref().is_none_or(|k| k.version != version) {
        form.density = density(table);
    }
    form.rows = rows(table, &key);
    // Another table shows its chosen latent; another order shows what it brings to the top.
    form.reveal = form.key.as_ref().is_none_or(|k| k.version != version);
    form.to_top = !form.reveal;
    form.key = Some(key);
}

/// The places in the table that the key asks for, in its order.
fn rows(table: &FeatureTable, key: &RowsKey) -> Vec<u32> {
    let fits = |l: &LatentSummary| !key.hide_dead || l.density > 0.0;
    let mut rows: Vec<u32> =
        (0..table.latents.len() as u32).filter(|&i| fits(&table.latents[i as usize])).collect();
    let value = |i: &u32| {
        let l = &table.latents[*i as usize];
        match key.order {
            Order::Index => l.index as f32,
            Order::Density => l.density,
            Order::Max => l.max,
            Order::Mean => l.mean,
        }
    };
    if key.descending {
        rows.sort_by(|a, b| value(b).total_cmp(&value(a)));
    } else {
        rows.sort_by(|a, b| value(a).total_cmp(&value(b)));
    }
    rows
}

/// Latents by log10 of their density, in bins of a quarter.
fn density(table: &FeatureTable) -> Density {
    let range = (-6.0, 0.0);
    let mut density = Density { counts: vec![0; 36], range, silent: 0 };
    for latent in &table.latents {
        if latent.density <= 0.0 {
            density.silent += 1;
            continue;
        }
        let share = (f64::from(latent.density).log10() - range.0) / (range.1 - range.0);
        let bin = (share * 36.0).clamp(0.0, 35.0) as usize;
        density.counts[bin] += 1;
    }
    density
}

/// The inspector of this screen: the dictionary as a whole.
pub fn inspector(ui: &mut Ui, cx: &Cx<'_>, form: &mut FeatureForm, data: &DataForm) {
    let state = &cx.state.features;
    let Some(table) = state.table.as_deref() else { return };
    company::company(ui, cx);
    ui.add_space(14.0);
    ui.label(theme::strong("Dictionary", 13.5));
    if let Some(evaluation) = state.sae.as_ref().and_then(|s| s.evaluation.as_ref()) {
        latent::evaluation(ui, evaluation);
        ui.add_space(8.0);
    }
    latent::density(ui, table, &form.density, state.latent);
    ui.add_space(12.0);
    let said = format!(
        "Sample: {} tokens of {}",
        format::grouped(table.tokens),
        table.corpus.rsplit('/').next().unwrap_or(&table.corpus)
    );
    ui.add(Label::new(weak(ui, said)).wrap());
    if state.sae.is_some() {
        ui.add_space(4.0);
        let usual = crate::work::features::TOKENS;
        let mut tokens = form.collect.unwrap_or(usual);
        ui.horizontal(|ui| {
            let collect = button(ui, "Collect again")
                .on_hover_text("Over the corpus that is set on the Data screen");
            let name = |tokens: u64| format!("{} tokens", format::count(tokens as f64));
            let list = ComboBox::from_id_salt("tokens to collect from").width(104.0);
            let list = list.selected_text(name(tokens)).show_ui(ui, |ui| {
                for choice in [usual, 1_000_000, 3_000_000, 10_000_000] {
                    ui.selectable_value(&mut tokens, choice, name(choice));
                }
            });
            list.response.accessible_name("Tokens to collect from");
            if collect.clicked()
                && let Some(corpus) = data.corpus()
            {
                cx.send(Command::Collect { corpus, rows: data.rows, tokens });
            }
        });
        form.collect = Some(tokens);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> FeatureTable {
        let latent = |index, density, max: f32| LatentSummary {
            index,
            density,
            max,
            mean: max / 2.0,
            ..LatentSummary::default()
        };
        let latents = vec![latent(0, 0.1, 3.0), latent(1, 0.0, 0.0), latent(2, 0.5, 1.0)];
        FeatureTable { latents, ..FeatureTable::default() }
    }

    fn key(order: Order, descending: bool, hide_dead: bool) -> RowsKey {
        RowsKey { version: 1, order, descending, hide_dead }
    }

    #[test]
    fn latents_are_ordered_and_filtered() {
        let t = table();
        assert_eq!(rows(&t, &key(Order::Index, false, false)), [0, 1, 2]);
        assert_eq!(rows(&t, &key(Order::Density, true, false)), [2, 0, 1]);
        assert_eq!(rows(&t, &key(Order::Max, true, true)), [0, 2]);
    }

    #[test]
    fn words_are_looked_for_and_numbers_jumped_to() {
        assert!(searches("gender") && searches("3 mice") && searches("-1"));
        assert!(!searches("") && !searches("  ") && !searches(" 17 "));
    }

    #[test]
    fn every_latent_is_in_one_bin_or_silent() {
        let d = density(&table());
        assert_eq!(d.silent, 1);
        assert_eq!(d.counts.iter().sum::<u64>(), 2);
        assert_eq!(d.counts[30], 1, "density 0.1 is log10 −1, five sixths of the way");
    }
}
