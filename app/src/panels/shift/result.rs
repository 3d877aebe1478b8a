//! The outcome: the table.
//!
//! What a person wants to know here: how good is the probe now, what does it still know of what it
//! should not, how bad is its worst group, how sure is all that; against which rows is that to be
//! held; does the model itself still say what it said; where do I keep it.

use super::{ask, standing};
use crate::commands::ShiftCommand;
use crate::context::Cx;
use crate::forms::ShiftForm;
use crate::jobs::Kind;
use crate::state::{Results, ShiftState, made};
use crate::theme::{self, palette, size};
use crate::widgets::card::{button, card, failure, primary, weak};
use crate::widgets::shares::{Column, Look, Row, Wanted, shares};
use egui::{Align, Label, Layout, Ui};
use sparsescope_core::shift::{ACCURACY_DEFINITION, Accuracies, Data, RowKind};

/// The columns of every table of this screen.
pub fn columns<'a>(ui: &Ui, data: &'a Data) -> [Column<'a>; 3] {
    let p = palette(ui);
    let column = |name, color, wanted| Column {
        name,
        definition: ACCURACY_DEFINITION,
        color,
        wanted: Some(wanted),
    };
    [
        column(data.label_name.as_str(), p.accent, Wanted::High),
        column(data.spurious_name.as_str(), p.glow, Wanted::Chance),
        column("worst group", p.series[2], Wanted::High),
    ]
}

/// A row of these columns.
pub fn row<'a>(
    name: &'a str,
    definition: impl Into<String>,
    accuracies: Option<&Accuracies>,
    look: Look,
    waiting: &'a str,
) -> Row<'a> {
    let shares = match accuracies {
        Some(a) => vec![Some(a.label), Some(a.spurious), Some(a.worst_group)],
        None => vec![None; 3],
    };
    Row { name, definition: definition.into(), shares, look, waiting }
}

/// Draws it.
pub fn result(ui: &mut Ui, cx: &Cx<'_>, _form: &mut ShiftForm) {
    let state = &cx.state.shift;
    card(ui, |ui| {
        head(ui, cx);
        ui.add_space(4.0);
        let Some(trained) = &state.trained else {
            let said = "Train the probe first: its rows stand here.";
            ui.label(weak(ui, said));
            return;
        };
        if let Some(error) = &state.results.failure {
            failure(ui, error, false);
            ui.add_space(6.0);
        }
        let columns = columns(ui, &trained.texts.data);
        let rows: Vec<Row<'_>> = RowKind::ALL.into_iter().map(|kind| of(state, kind)).collect();
        shares(ui, &columns, &rows);
        ui.add_space(4.0);
        let said = "Rest the pointer on a row for how it was made. Bars end at the mean, whiskers \
                    are 95 % bootstrap intervals, the fine line is chance.";
        ui.add(Label::new(weak(ui, said)).wrap());
    });
}

fn head(ui: &mut Ui, cx: &Cx<'_>) {
    let state = &cx.state.shift;
    ui.horizontal(|ui| {
        ui.set_height(36.0);
        ui.label(theme::strong("Table", size::HEAD));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let job = cx.state.jobs.iter().find(|j| j.kind == Kind::ShiftTable);
            if state.results.filling || job.is_some() {
                if button(ui, "Stop").clicked() {
                    ask(cx, ShiftCommand::StopFilling);
                }
                let said = match job {
                    Some(job) => format!("{}…", job.progress.stage),
                    None => "filling…".to_owned(),
                };
                ui.label(weak(ui, said));
            } else {
                let name = match state.results.rows.is_empty() {
                    true => "Fill the table",
                    false => "Fill it again",
                };
                let ready = state.found.is_some() && state.trained.is_some();
                if primary(ui, name, ready).clicked() {
                    ask(cx, ShiftCommand::Fill);
                }
            }
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| standing::status(ui, cx));
        });
    });
}

/// The row of a kind: what was measured last as features were judged, else what the table has.
fn of(state: &ShiftState, kind: RowKind) -> Row<'_> {
    let known = state.results.rows.iter().find(|row| row.kind == kind);
    let trimmed = state.judged.now.trimmed();
    let live = state.live.last.as_ref();
    // What is measured as one judges is as new as can be; the table is as old as its filling.
    let fresh = |of: &dyn Fn(&crate::work::shift::Live) -> Option<Accuracies>| {
        let live = live?;
        let now = live.asked.1 == trimmed && live.asked.0 == state.version;
        Some((of(live)?, if now { Look::Lit } else { Look::Old }))
    };
    let (name, own) = (kind.name(), known.and_then(|row| row.accuracies));
    let moved = |how: &str, found: Option<(Accuracies, Look)>| {
        let of_table = own.filter(|_| state.results.of == trimmed).map(|a| (a, Look::Lit));
        let shown = found.or(of_table);
        let waiting = match state.found {
            Some(_) if state.live.pending => "measuring…",
            Some(_) => "not measured yet",
            None => "no circuit yet",
        };
        let look = shown.map_or(Look::Plain, |(_, look)| look);
        row(name, how, shown.map(|(a, _)| a).as_ref(), look, waiting)
    };
    match kind {
        RowKind::Original => {
            let original = state.trained.as_ref().map(|t| t.original).or(own);
            row(name, made::ORIGINAL, original.as_ref(), Look::Plain, "")
        }
        RowKind::Shift => moved(made::SHIFT, fresh(&|live| Some(live.trimmed))),
        RowKind::ShiftRetrained => moved(made::RETRAINED, fresh(&|live| live.retrained)),
        _ => {
            let old = Results::depends(kind) && state.results.of != trimmed && own.is_some();
            let look = if old { Look::Old } else { Look::Plain };
            let waiting = match known {
                Some(row) => row.missing.as_deref().unwrap_or("no figure"),
                None if state.results.filling => "waiting…",
                None => "not filled yet",
            };
            let mut said = known.map_or_else(|| plan(kind).to_owned(), |row| row.made.clone());
            if let Some(words) = known.map(|row| &row.words).filter(|words| !words.is_empty()) {
                said += &format!(" Words: {}.", words.join(", "));
            }
            if old {
                said += " Of the trim before your last judgements: fill the table again.";
            }
            row(name, said, own.as_ref(), look, waiting)
        }
    }
}

/// What a row will be, before it is there.
fn plan(kind: RowKind) -> &'static str {
    match kind {
        RowKind::Random => {
            "As many features as are trimmed, drawn at random: trimming just any \
                            features should change nothing."
        }
        RowKind::NeuronSkyline => "As many coordinates, chosen with labels of the spurious value.",
        RowKind::FeatureSkyline => "As many features, chosen with labels of the spurious value.",
        RowKind::ConceptBottleneck => "A probe that sees only how near a text is to keywords.",
        RowKind::Oracle => "A probe that learnt from balanced texts: what there is to be had.",
        RowKind::EmbeddingOnly | RowKind::EmbeddingOnlyRetrained => {
            "A control that critics of SHIFT asked for: only those trimmed features that are of the \
             embedding, which stand for single tokens."
        }
        RowKind::WithoutEmbedding | RowKind::WithoutEmbeddingRetrained => {
            "The trimmed features but for those of the embedding."
        }
        RowKind::WordsDeleted => {
            "A control that critics of SHIFT asked for: no feature is trimmed, \
                                  the words that give the spurious value away are deleted from the \
                                  texts."
        }
        RowKind::Original => made::ORIGINAL,
        RowKind::Shift => made::SHIFT,
        RowKind::ShiftRetrained => made::RETRAINED,
    }
}
