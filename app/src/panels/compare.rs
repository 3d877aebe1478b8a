//! Two dictionaries of the same site against one another.

use crate::commands::{Command, DirectionsCommand};
use crate::context::Cx;
use crate::format;
use crate::forms::{CompareList, DirectionsForm};
use crate::state::Compared;
use crate::theme::{self, palette};
use crate::widgets::card::{card, empty, failure, figure, primary, ring, weak};
use crate::widgets::icon::Icon;
use egui::{
    Align2, ComboBox, FontId, Label, Role, ScrollArea, Sense, Stroke, Ui, WidgetInfo, pos2, vec2,
};
use sparsescope_core::directions::CANDIDATES;
use sparsescope_core::features::FeatureTable;
use sparsescope_core::workspace::{RunStatus, SaeId, SaeRecord};

const ROW: f32 = 25.0;

/// Under this cosine a latent counts as one that the other dictionary lacks.
const LACKS: f32 = 0.7;

/// Draws the comparison of `open` with another dictionary.
pub fn compare(ui: &mut Ui, cx: &Cx<'_>, form: &mut DirectionsForm, open: &SaeRecord) {
    let state = &cx.state.directions.compare;
    let fits = |r: &&SaeRecord| {
        r.id != open.id
            && r.model == open.model
            && r.site == open.site
            && r.width == open.width
            && r.status == RunStatus::Done
    };
    let others: Vec<&SaeRecord> = cx.state.train.runs.iter().filter(fits).collect();
    if others.is_empty() && state.done.is_none() {
        let text = format!(
            "A comparison needs a second finished dictionary on {} of the same model. Train one \
             with another seed, size or architecture.",
            open.site
        );
        if empty(ui, Icon::Directions, "Nothing to compare with", &text, Some("Go to Train")) {
            cx.send(Command::Go(crate::state::Screen::Train));
        }
        return;
    }
    choose(ui, cx, form, open, &others);
    if let Some(error) = &state.failure {
        ui.add_space(6.0);
        if failure(ui, error, true) {
            cx.send(Command::Directions(DirectionsCommand::DismissComparison));
        }
    }
    ui.add_space(4.0);
    match &state.done {
        Some(done) => found(ui, cx, form, done),
        None if state.pending => {
            let text = "Every direction of the one against every direction of the other.";
            empty(ui, Icon::Directions, "Comparing", text, None);
        }
        None => {
            let text = "Choose a second dictionary of the same site: which directions both have, \
                        and which only one of them.";
            empty(ui, Icon::Directions, "Two dictionaries", text, None);
        }
    }
}

fn name(record: &SaeRecord) -> String {
    format!(
        "{}: {} on {}, {} latents",
        record.id,
        record.architecture,
        record.site,
        format::grouped(record.latents as u64)
    )
}

fn choose(
    ui: &mut Ui,
    cx: &Cx<'_>,
    form: &mut DirectionsForm,
    open: &SaeRecord,
    others: &[&SaeRecord],
) {
    if form.other.is_none_or(|id| others.iter().all(|r| r.id != id)) {
        form.other = others.first().map(|r| r.id);
    }
    ui.horizontal(|ui| {
        ui.label(weak(ui, "A"));
        ui.label(theme::strong(name(open), 13.5));
        ui.add_space(10.0);
        let label = ui.label(weak(ui, "B"));
        let now = others.iter().find(|r| Some(r.id) == form.other);
        ComboBox::new("compare with", "")
            .selected_text(now.map(|r| name(r)).unwrap_or_default())
            .width(290.0)
            .show_ui(ui, |ui| {
                for other in others {
                    let chosen = form.other == Some(other.id);
                    if ui.selectable_label(chosen, name(other)).clicked() {
                        form.other = Some(other.id);
                    }
                }
            })
            .response
            .accessible_name("Compare with")
            .labelled_by(label.id);
        let pending = cx.state.directions.compare.pending;
        if let Some(id) = form.other
            && primary(ui, "Compare", !pending).clicked()
        {
            cx.send(Command::Directions(DirectionsCommand::Compare(id)));
        }
    });
}

fn found(ui: &mut Ui, cx: &Cx<'_>, form: &mut DirectionsForm, done: &Compared) {
    let found = &done.found;
    let only_a = found.a.alone(LACKS);
    let only_b = found.b.alone(LACKS);
    card(ui, |ui| {
        ui.horizontal_wrapped(|ui| {
            ui.spacing_mut().item_spacing.x = 26.0;
            let mean = "For each latent the cosine of its decoder direction with the nearest one \
                of the other dictionary, and the mean of that over all latents that have a \
                direction (mean max cosine similarity).";
            figure(ui, "Mean best cosine, A in B", &cosine(found.a.mean_max_cosine), None, mean);
            figure(ui, "B in A", &cosine(found.b.mean_max_cosine), None, mean);
            let share = "Share of latents whose nearest direction in the other dictionary has a \
                cosine of at least this.";
            let both = |a: f64, b: f64| format!("{} · {}", format::percent(a), format::percent(b));
            let (a, b) = (&found.a, &found.b);
            figure(ui, "Over 0.7, A · B", &both(a.above_07, b.above_07), None, share);
            figure(ui, "Over 0.9, A · B", &both(a.above_09, b.above_09), None, share);
            let mutual = "Pairs of latents each of which is the other's nearest.";
            let count = format::grouped(found.mutual as u64);
            figure(ui, "Mutual best", &count, None, mutual);
            let pairs = format!(
                "Pairs one to one: always the nearest two that are still free, among each \
                 latent's {CANDIDATES} nearest, none with a cosine of zero or less. The figure is \
                 their mean cosine."
            );
            figure(ui, "One to one, mean", &cosine(found.mean_pair_cosine), None, &pairs);
        });
    });
    ui.add_space(6.0);
    ui.horizontal(|ui| {
        let lists = [
            (CompareList::Pairs, "Pairs", found.pairs.len()),
            (CompareList::OnlyA, "Only in A", only_a.len()),
            (CompareList::OnlyB, "Only in B", only_b.len()),
        ];
        for (list, name, count) in lists {
            let text = format!("{name}   {}", format::grouped(count as u64));
            let response = ui.selectable_label(form.list == list, text);
            if ring(ui, response).clicked() {
                form.list = list;
            }
        }
        let what = match form.list {
            CompareList::Pairs => "One to one, the nearest first. ● each is the other's nearest.",
            _ => "Best cosine with the other under 0.7, the loneliest first.",
        };
        ui.add(Label::new(weak(ui, what).size(12.5)).truncate());
    });
    match form.list {
        CompareList::Pairs => pairs(ui, cx, done),
        CompareList::OnlyA => alone(ui, cx, done.a, &only_a, done.features_a.as_deref()),
        CompareList::OnlyB => alone(ui, cx, done.b, &only_b, done.features_b.as_deref()),
    }
}

fn cosine(value: f64) -> String {
    format!("{value:.3}")
}

fn density(table: Option<&FeatureTable>, latent: u32) -> String {
    let latents = table.map(|t| &t.latents);
    let at = latents.and_then(|l| l.binary_search_by_key(&latent, |l| l.index).ok());
    match at.zip(latents).and_then(|(at, l)| l.get(at)) {
        Some(known) if known.density > 0.0 => format::percent(f64::from(known.density)),
        Some(_) => "never fired".to_owned(),
        None => "–".to_owned(),
    }
}

/// A row of texts at shares of the width; what was clicked: the place of a text.
fn row(ui: &mut Ui, said: &str, cells: &[(f32, String, bool)]) -> Option<f32> {
    let p = palette(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::click());
    response.widget_info(|| WidgetInfo::labeled(Role::Button, true, said));
    let painter = ui.painter();
    if response.hovered() || response.has_focus() {
        painter.rect_filled(rect, 5.0, p.hover);
    }
    if response.has_focus() {
        let pen = Stroke::new(2.0, p.accent);
        painter.rect_stroke(rect, 5.0, pen, egui::StrokeKind::Inside);
    }
    for (share, text, strong) in cells {
        let at = pos2(rect.left() + 10.0 + share * (rect.width() - 20.0), rect.center().y);
        let color = if *strong { p.text } else { p.weak };
        painter.text(at, Align2::LEFT_CENTER, text, FontId::monospace(12.5), color);
    }
    let clicked = response.clicked();
    let at = response.interact_pointer_pos().map(|at| (at.x - rect.left()) / rect.width());
    clicked.then(|| at.unwrap_or(0.0))
}

fn heads(ui: &mut Ui, cells: &[(f32, &str)]) {
    let p = palette(ui);
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), 22.0), Sense::hover());
    for (share, text) in cells {
        let at = pos2(rect.left() + 10.0 + share * (rect.width() - 20.0), rect.center().y);
        ui.painter().text(at, Align2::LEFT_CENTER, *text, FontId::proportional(12.0), p.faint);
    }
}

fn bar(value: f32) -> String {
    format!("{value:.3}")
}

fn pairs(ui: &mut Ui, cx: &Cx<'_>, done: &Compared) {
    ui.spacing_mut().item_spacing.y = 0.0;
    heads(
        ui,
        &[
            (0.0, "Cosine"),
            (0.12, "Latent of A"),
            (0.24, "fires on"),
            (0.36, "label"),
            (0.62, "Latent of B"),
            (0.74, "fires on"),
            (0.88, "mutual"),
        ],
    );
    let all = &done.found.pairs;
    ScrollArea::vertical().id_salt("pairs").auto_shrink(false).show_rows(
        ui,
        ROW,
        all.len(),
        |ui, range| {
            ui.spacing_mut().item_spacing.y = 0.0;
            for pair in &all[range] {
                let said = format!("Latent {} of A and {} of B", pair.a, pair.b);
                let label = cx.state.features.label(pair.a).unwrap_or_default();
                let short: String = label.chars().take(28).collect();
                let cells = [
                    (0.0, bar(pair.cosine), true),
                    (0.12, pair.a.to_string(), true),
                    (0.24, density(done.features_a.as_deref(), pair.a), false),
                    (0.36, short, false),
                    (0.62, pair.b.to_string(), true),
                    (0.74, density(done.features_b.as_deref(), pair.b), false),
                    (0.89, if pair.mutual { "●" } else { "" }.to_owned(), false),
                ];
                if let Some(at) = row(ui, &said, &cells) {
                    let (sae, latent) = if at < 0.6 { (done.a, pair.a) } else { (done.b, pair.b) };
                    cx.send(Command::Directions(DirectionsCommand::Read(sae, latent)));
                }
            }
        },
    );
}

fn alone(
    ui: &mut Ui,
    cx: &Cx<'_>,
    sae: SaeId,
    latents: &[(u32, f32)],
    table: Option<&FeatureTable>,
) {
    if latents.is_empty() {
        ui.add_space(10.0);
        ui.label(weak(ui, "Every latent has a relative with a cosine of at least 0.7."));
        return;
    }
    ui.spacing_mut().item_spacing.y = 0.0;
    heads(ui, &[(0.0, "Latent"), (0.16, "best cosine"), (0.34, "fires on"), (0.52, "label")]);
    ScrollArea::vertical().id_salt(("alone", sae)).auto_shrink(false).show_rows(
        ui,
        ROW,
        latents.len(),
        |ui, range| {
            ui.spacing_mut().item_spacing.y = 0.0;
            for (latent, best) in &latents[range] {
                let own = cx.state.features.sae.as_ref().is_some_and(|s| s.id == sae);
                let label = if own { cx.state.features.label(*latent) } else { None };
                let cells = [
                    (0.0, latent.to_string(), true),
                    (0.16, bar(*best), true),
                    (0.34, density(table, *latent), false),
                    (0.52, label.unwrap_or_default().chars().take(48).collect(), false),
                ];
                if row(ui, &format!("Latent {latent}"), &cells).is_some() {
                    cx.send(Command::Directions(DirectionsCommand::Read(sae, *latent)));
                }
            }
        },
    );
}
