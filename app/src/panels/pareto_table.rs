//! The table of the Pareto screen: the same dictionaries in figures, in any order.

use crate::commands::Command;
use crate::context::Cx;
use crate::format;
use crate::forms::{ParetoColumn, ParetoForm};
use crate::panels::pareto::{Row, definitions, recovered};
use crate::theme::{self, palette};
use crate::widgets::card::{button, titled, weak};
use crate::widgets::marker;
use crate::widgets::scatter::Touched;
use egui::{Align, Align2, FontId, Label, Layout, Rect, Role, Sense, Ui, WidgetInfo, pos2, vec2};
use sparsescope_core::workspace::{RunStatus, SaeRecord};
use std::cmp::Ordering;

const HEIGHT: f32 = 27.0;

/// What a column holds.
struct Column {
    key: ParetoColumn,
    head: &'static str,
    definition: &'static str,
    /// Share of the width.
    share: f32,
    /// Whether its values are numbers, and stand at the right.
    number: bool,
}

const fn column(
    key: ParetoColumn,
    head: &'static str,
    definition: &'static str,
    share: f32,
    number: bool,
) -> Column {
    Column { key, head, definition, share, number }
}

const COLUMNS: [Column; 10] = [
    column(ParetoColumn::Architecture, "Architecture", "", 0.17, false),
    column(
        ParetoColumn::Sparsity,
        "Sparsity",
        "k: latents kept a token. λ: the coefficient of the sparsity penalty.",
        0.09,
        false,
    ),
    column(ParetoColumn::Site, "Site", "The place in the model that it reads.", 0.09, false),
    column(ParetoColumn::Latents, "Latents", "Size m of the dictionary.", 0.09, true),
    column(ParetoColumn::L0, "L0", definitions::L0, 0.08, true),
    column(ParetoColumn::Recovered, "Recovered", definitions::RECOVERED, 0.11, true),
    column(ParetoColumn::Fvu, "FVU", definitions::FVU, 0.09, true),
    column(ParetoColumn::Gamma, "γ", definitions::GAMMA, 0.08, true),
    column(ParetoColumn::Dead, "Dead", definitions::DEAD, 0.09, true),
    column(ParetoColumn::Tokens, "Tokens", "Tokens it was trained on.", 0.11, true),
];

/// Draws the table, and below it what is not evaluated yet.
pub fn table(
    ui: &mut Ui,
    cx: &Cx<'_>,
    form: &mut ParetoForm,
    shown: &[Row<'_>],
    waiting: &[&SaeRecord],
) -> Touched {
    let mut touched = Touched::default();
    let note = match shown.len() {
        1 => "1 dictionary".to_owned(),
        n => format!("{n} dictionaries"),
    };
    titled(ui, "In figures", &note, |ui| {
        ui.spacing_mut().item_spacing.y = 0.0;
        heads(ui, form);
        let mut rows: Vec<&Row<'_>> = shown.iter().collect();
        rows.sort_by(|a, b| {
            let order = compare(a, b, form.sort);
            let order = if form.descending { order.reverse() } else { order };
            order.then(b.record.id.cmp(&a.record.id))
        });
        for row in rows {
            let now = line(ui, row, form.lit == Some(row.record.id));
            touched.over = touched.over.or(now.over);
            touched.clicked = touched.clicked.or(now.clicked);
        }
        if !waiting.is_empty() {
            ui.add_space(8.0);
            not_yet(ui, cx, waiting);
        }
    });
    touched
}

fn compare(a: &Row<'_>, b: &Row<'_>, by: ParetoColumn) -> Ordering {
    let (x, y) = (a.record, b.record);
    let strength = |r: &Row<'_>| {
        let config = r.record.config.as_ref();
        config.map_or(0.0, |c| c.architecture.k().map_or(c.l1, |k| k as f64))
    };
    // What is no number comes last in either order of the figures that follow.
    match by {
        ParetoColumn::Architecture => {
            x.architecture.cmp(&y.architecture).then(a.evaluation.l0.total_cmp(&b.evaluation.l0))
        }
        ParetoColumn::Sparsity => strength(a).total_cmp(&strength(b)),
        ParetoColumn::Site => x.site.cmp(&y.site),
        ParetoColumn::Latents => x.latents.cmp(&y.latents),
        ParetoColumn::L0 => a.evaluation.l0.total_cmp(&b.evaluation.l0),
        ParetoColumn::Recovered => a.recovered().total_cmp(&b.recovered()),
        ParetoColumn::Fvu => a.evaluation.fvu.total_cmp(&b.evaluation.fvu),
        ParetoColumn::Gamma => a.evaluation.gamma.total_cmp(&b.evaluation.gamma),
        ParetoColumn::Dead => a.evaluation.dead.total_cmp(&b.evaluation.dead),
        ParetoColumn::Tokens => x.tokens_done.cmp(&y.tokens_done),
    }
}

/// Left and right end of each column.
fn spans(rect: Rect) -> [(f32, f32); COLUMNS.len()] {
    let mut left = rect.min.x;
    COLUMNS.each_ref().map(|column| {
        let from = left;
        left += column.share * rect.width();
        (from + 6.0, left - 10.0)
    })
}

fn heads(ui: &mut Ui, form: &mut ParetoForm) {
    let p = palette(ui);
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), 26.0), Sense::hover());
    for (column, (left, right)) in COLUMNS.iter().zip(spans(rect)) {
        let cell = Rect::from_min_max(pos2(left - 6.0, rect.min.y), pos2(right + 10.0, rect.max.y));
        let id = ui.scope_id().with(("head", column.head));
        let response = ui.interact(cell, id, Sense::click());
        let chosen = form.sort == column.key;
        let said = format!("Sort by {}", column.head);
        response.widget_info(|| WidgetInfo::selected(Role::Button, true, chosen, &said));
        let ink =
            if chosen || response.hovered() || response.has_focus() { p.text } else { p.weak };
        let arrow = match (chosen, form.descending) {
            (true, true) => " ▼",
            (true, false) => " ▲",
            _ => "",
        };
        let text = format!("{}{arrow}", column.head);
        let font = FontId::proportional(12.0);
        let y = rect.center().y;
        let (at, align) = match column.number {
            true => (pos2(right, y), Align2::RIGHT_CENTER),
            false => (pos2(left, y), Align2::LEFT_CENTER),
        };
        ui.painter().text(at, align, text, font, ink);
        if response.clicked() {
            form.descending = chosen && !form.descending;
            form.sort = column.key;
        }
        crate::widgets::card::define(ui, response, column.head, column.definition);
    }
    ui.painter().hline(rect.x_range(), rect.max.y, egui::Stroke::new(1.0, p.line));
}

fn line(ui: &mut Ui, row: &Row<'_>, lit: bool) -> Touched {
    let p = palette(ui);
    let size = vec2(ui.available_width(), HEIGHT);
    let (rect, response) = ui.allocate_exact_size(size, Sense::click());
    let said = format!("Open {}, run {}", row.name(), row.record.id);
    response.widget_info(|| WidgetInfo::labeled(Role::Button, true, &said));
    let over = response.hovered() || response.has_focus();
    let mut touched = Touched::default();
    if over {
        touched.over = Some(row.record.id);
    }
    if response.clicked() {
        touched.clicked = Some(row.record.id);
    }
    if !ui.is_rect_visible(rect) {
        return touched;
    }
    if over || lit {
        ui.painter().rect_filled(rect, 6.0, p.hover);
    }
    let e = row.evaluation;
    let values: [String; COLUMNS.len()] = [
        row.record.architecture.clone(),
        row.sparsity(),
        row.record.site.to_string(),
        format::grouped(row.record.latents as u64),
        format::figure(e.l0),
        recovered(e),
        format::figure(e.fvu),
        format::figure(e.gamma),
        format::percent(e.dead),
        format::count(row.record.tokens_done as f64),
    ];
    let y = rect.center().y;
    for (i, ((column, (left, right)), value)) in
        COLUMNS.iter().zip(spans(rect)).zip(values).enumerate()
    {
        let (at, align) = match column.number {
            true => (pos2(right, y), Align2::RIGHT_CENTER),
            false => (pos2(if i == 0 { left + 18.0 } else { left }, y), Align2::LEFT_CENTER),
        };
        let font = if i == 0 { FontId::proportional(13.5) } else { FontId::monospace(12.5) };
        let ink = match column.key {
            // Half a dictionary that never fires is worth a look.
            ParetoColumn::Dead if e.dead > 0.3 => p.warn,
            ParetoColumn::Gamma if !(0.9..1.1).contains(&e.gamma) => p.warn,
            _ => p.text,
        };
        ui.painter().text(at, align, value, font, ink);
        if i == 0 {
            marker::draw(ui.painter(), pos2(left + 5.0, y), row.mark, 5.0, p.card);
        }
    }
    touched
}

/// Dictionaries that have no figures yet.
fn not_yet(ui: &mut Ui, cx: &Cx<'_>, waiting: &[&SaeRecord]) {
    for record in waiting {
        ui.horizontal(|ui| {
            ui.set_height(30.0);
            let name = format!("{} on {}, run {}", record.architecture, record.site, record.id);
            ui.add(Label::new(theme::strong(name, 13.0)).selectable(false));
            let why = match record.status {
                RunStatus::Training => "is in training: it is evaluated at its end".to_owned(),
                RunStatus::Interrupted => "was stopped: it is evaluated at its end".to_owned(),
                RunStatus::Failed => {
                    let why = record.failure.as_deref().unwrap_or("it did not say why");
                    format!("failed: {why}")
                }
                RunStatus::Done => "has not been evaluated".to_owned(),
            };
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                let busy = cx.state.jobs.iter().any(|j| j.kind == crate::jobs::Kind::Evaluate);
                match record.status {
                    RunStatus::Done => {
                        let go = ui.add_enabled_ui(!busy, |ui| button(ui, "Evaluate")).inner;
                        if go.on_hover_text("On the corpus of the Data screen").clicked() {
                            cx.send(Command::Evaluate(record.id));
                        }
                    }
                    RunStatus::Interrupted | RunStatus::Failed => {
                        let busy = cx.state.train.job.is_some();
                        let go = ui.add_enabled_ui(!busy, |ui| button(ui, "Go on")).inner;
                        if go.clicked() {
                            cx.send(Command::GoOn(record.id));
                        }
                    }
                    RunStatus::Training => {}
                }
                ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                    ui.add(Label::new(weak(ui, why)).truncate());
                });
            });
        });
    }
}
