//! What the model does with and without the circuit.
//!
//! What a person wants to know here, in this order: does the model still behave so without what I
//! just cut, and by how much less; is the circuit alone enough, and is it all; how sure is that,
//! and on which prompts was it measured; what does the model say now in the place of what it said;
//! and is what I read already the answer to my last click.

use crate::commands::{CircuitCommand, Command, VerdictCommand};
use crate::context::Cx;
use crate::fonts::drawable;
use crate::format;
use crate::forms::CircuitForm;
use crate::theme::{self, palette, size};
use crate::widgets::card::{define, sentence, weak};
use crate::work::verdict::{Asked, Judged};
use egui::{
    Align, Align2, Color32, ComboBox, FontId, Frame, Label, Layout, Margin, Rect, RichText, Role,
    Sense, Stroke, Ui, WidgetInfo, pos2, vec2,
};
use sparsescope_core::circuits::{Ablation, Errors, Estimate, JudgeSpec, Verdict};
use sparsescope_core::llama::NextToken;

/// Height of the whole.
pub const HEIGHT: f32 = 186.0;
/// Height of a line of the table.
const LINE: f32 = 20.0;
/// Likeliest tokens that are shown.
const NEXT: usize = 5;

/// Asks for a verdict on what is shown now, if that is not what was asked last.
pub fn follow(cx: &Cx<'_>, form: &CircuitForm) {
    let state = &cx.state.circuit;
    let Some(spec) = spec(cx, form) else { return };
    // The graph makes its view of a circuit at its first frame; and without the task there are no
    // pairs to judge it by.
    if form.graph.of != Some(state.version) || state.origin.is_none() {
        return;
    }
    let nodes = form.graph.kept.clone();
    let cuts = form.graph.cuts.clone();
    let asked = Asked { version: state.version, spec, nodes, cuts };
    if state.verdict.asked.as_ref() != Some(&asked) {
        cx.send(Command::Circuit(CircuitCommand::Verdict(VerdictCommand::Judge(Box::new(asked)))));
    }
}

/// How the open circuit is judged.
pub fn spec(cx: &Cx<'_>, form: &CircuitForm) -> Option<JudgeSpec> {
    let model = cx.state.model.facts.as_ref()?;
    let circuit = cx.state.circuit.circuit.as_ref()?;
    Some(form.verdict.spec(circuit, model.layers))
}

/// Draws it.
pub fn verdict(ui: &mut Ui, cx: &Cx<'_>, form: &mut CircuitForm) {
    let state = &cx.state.circuit.verdict;
    let p = palette(ui);
    Frame::new()
        .fill(p.card)
        .stroke(Stroke::new(1.0, p.line))
        .corner_radius(10)
        .inner_margin(Margin::symmetric(14, 10))
        .show(ui, |ui| {
            ui.set_width(ui.available_width());
            ui.set_height(HEIGHT - 22.0);
            // An answer about another circuit is none.
            let version = cx.state.circuit.version;
            let judged = state.judged.as_deref().filter(|j| j.asked.version == version);
            head(ui, cx, form, judged);
            ui.add_space(4.0);
            match (judged, &state.failure) {
                (_, Some(error)) => {
                    ui.add(Label::new(RichText::new(&error.what).color(p.bad)).wrap());
                    ui.add(
                        Label::new(weak(
                            ui,
                            format!("{} {}", sentence(&error.why), sentence(&error.remedy)),
                        ))
                        .wrap(),
                    );
                }
                (Some(judged), None) => {
                    // What is being computed anew stays to be read, but is seen to be old.
                    if state.pending {
                        ui.multiply_opacity(0.45);
                    }
                    body(ui, form, judged);
                }
                (None, None) if cx.state.circuit.origin.is_none() => {
                    let said = "The task that the circuit was found on is not in the workspace, so \
                                there are no pairs to judge it by. Bring its file in on the Task \
                                page, save it there, and open the circuit again.";
                    ui.add(Label::new(weak(ui, said)).wrap());
                }
                (None, None) => {
                    ui.label(weak(ui, "Judging the circuit…"));
                }
            }
        });
}

fn head(ui: &mut Ui, cx: &Cx<'_>, form: &mut CircuitForm, judged: Option<&Judged>) {
    let p = palette(ui);
    ui.horizontal(|ui| {
        ui.label(theme::strong("Verdict", size::HEAD));
        if let Some(judged) = judged {
            let pairs = judged.verdict.pairs.len();
            let (said, color) = match judged.held_out {
                true => (format!("on {pairs} held-out pairs"), p.weak),
                false => (format!("on {pairs} pairs it was found on: none are held out"), p.warn),
            };
            ui.label(RichText::new(said).size(size::SMALL).color(color));
            if let Some(doubt) = judged.doubts.first() {
                let more = judged.doubts.join("; ");
                let said = format!("{} of its dictionaries do not fit", judged.doubts.len());
                let text = RichText::new(said).size(size::SMALL).color(p.warn);
                let risk = sparsescope_core::circuits::checks::RISK;
                let response = ui.label(text);
                define(ui, response, doubt, &format!("{more}. The risk: {risk}."));
            }
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            settings(ui, form);
            let state = &cx.state.circuit.verdict;
            if state.pending {
                ui.label(weak(ui, "judging…"));
            } else if let Some(judged) = judged {
                let ms = 1000.0 * judged.took.as_secs_f64();
                ui.label(weak(ui, format!("{} ms", format::figure(ms))))
                    .on_hover_text("Time the last verdict took, from the click to these numbers");
            }
        });
    });
}

fn settings(ui: &mut Ui, form: &mut CircuitForm) {
    let form = &mut form.verdict;
    ui.spacing_mut().item_spacing.x = 6.0;
    ui.checkbox(&mut form.exempt, weak(ui, "spare early blocks")).on_hover_text(
        "Leave the embedding and the first third of the blocks whole: their features are those of \
         single tokens, many and of little interest",
    );
    let errors = |errors: Errors| match errors {
        Errors::AsNodes => "errors as nodes",
        Errors::Keep => "errors kept",
        Errors::Cut => "errors cut",
    };
    ComboBox::from_id_salt("errors")
        .width(118.0)
        .selected_text(weak(ui, errors(form.errors)))
        .show_ui(ui, |ui| {
            for choice in Errors::ALL {
                ui.selectable_value(&mut form.errors, choice, errors(choice)).on_hover_text(
                    match choice {
                        Errors::AsNodes => {
                            "An error term is kept if and only if it is in the circuit"
                        }
                        Errors::Keep => "Error terms are always kept, in F(∅) too",
                        Errors::Cut => "Error terms are always put away, but not in F(M)",
                    },
                );
            }
        })
        .response
        .accessible_name("Error terms");
    let ablation = |ablation: Ablation| match ablation {
        Ablation::Mean => "mean ablation",
        Ablation::Zero => "zero ablation",
        Ablation::Resample => "resample ablation",
    };
    ComboBox::from_id_salt("ablation")
        .width(122.0)
        .selected_text(weak(ui, ablation(form.ablation)))
        .show_ui(ui, |ui| {
            for choice in Ablation::ALL {
                ui.selectable_value(&mut form.ablation, choice, ablation(choice)).on_hover_text(
                    match choice {
                        Ablation::Mean => {
                            "What is put away becomes its mean over the patch prompts, at each \
                             position"
                        }
                        Ablation::Zero => "What is put away becomes zero; the decoder's bias stays",
                        Ablation::Resample => {
                            "What is put away becomes what it is on another pair's patch prompt"
                        }
                    },
                );
            }
        })
        .response
        .accessible_name("Ablation");
}

fn body(ui: &mut Ui, form: &mut CircuitForm, judged: &Judged) {
    ui.horizontal_top(|ui| {
        let wide = ui.available_width();
        let next = (0.36 * wide).clamp(250.0, 430.0);
        let figures = 122.0;
        ui.vertical(|ui| {
            ui.set_width((wide - next - figures - 36.0).max(240.0));
            table(ui, &judged.verdict);
        });
        ui.add_space(6.0);
        ui.vertical(|ui| {
            ui.set_width(figures);
            shares(ui, &judged.verdict);
        });
        ui.add_space(6.0);
        ui.vertical(|ui| {
            ui.set_width(ui.available_width());
            tokens(ui, form, judged);
        });
    });
}

/// A line of the table.
struct Row {
    name: &'static str,
    value: Estimate,
    /// Share of pairs on which the behaviour is there.
    accuracy: Option<f64>,
    color: Color32,
    /// Whether there is anything to say: nothing is cut otherwise.
    known: bool,
    what: &'static str,
}

/// F of the model, the circuit, the rest and nothing, as bars on one scale.
fn table(ui: &mut Ui, verdict: &Verdict) {
    let p = palette(ui);
    let cut = !verdict.cuts.is_empty();
    let n = verdict.pairs.len();
    let a = &verdict.accuracy;
    let row = |name, value, accuracy: Option<f64>, color, known, what| Row {
        name,
        value,
        accuracy: accuracy.filter(|_| known),
        color,
        known,
        what,
    };
    let rows = [
        row("Model F(M)", verdict.model, Some(a.model), p.series[5], true, "The model as it is."),
        row(
            "Model with the cut",
            verdict.cut_model,
            Some(a.cut_model),
            p.glow,
            cut,
            "The whole model, with nothing changed but what is cut.",
        ),
        row(
            "Circuit F(C)",
            verdict.uncut_circuit,
            Some(a.uncut_circuit),
            p.accent,
            true,
            "Only the nodes of the circuit that is shown: every other node is put away, at each \
             position. Kept nodes are encoded anew from what is left below them.",
        ),
        row(
            "Circuit with the cut",
            verdict.circuit,
            Some(a.circuit),
            p.glow,
            cut,
            "The circuit alone, with what is cut changed in it.",
        ),
        row(
            "All but it F(M∖C)",
            verdict.complement,
            None,
            p.series[2],
            true,
            "Every node but those of the circuit: what is left of the behaviour without it.",
        ),
        row(
            "Nothing F(∅)",
            verdict.empty,
            Some(a.empty),
            p.faint,
            true,
            "Every node put away: what the metric is without any of them.",
        ),
    ];
    let all = rows.iter().map(|row| row.value.mean);
    let low = all.clone().fold(0.0, f64::min);
    let high = all.fold(0.0, f64::max);
    ui.spacing_mut().item_spacing.y = 1.0;
    for Row { name, value, accuracy, color, known, what } in rows {
        let (row, response) =
            ui.allocate_exact_size(vec2(ui.available_width(), LINE), Sense::hover());
        let figure = format!("{:.3} ± {:.3}", value.mean, value.error);
        let said = if known { format!("{name}: {figure}") } else { format!("{name}: no cut") };
        response.widget_info(|| WidgetInfo::labeled(Role::Label, true, said.as_str()));
        line(ui, row, name, known.then_some(figure.as_str()), accuracy, p.text);
        let bars = Rect::from_min_max(
            pos2(row.min.x + 138.0, row.min.y + 5.0),
            pos2((row.max.x - 158.0).max(row.min.x + 150.0), row.max.y - 5.0),
        );
        let at = |v: f64| bars.min.x + bars.width() * ((v - low) / (high - low).max(1e-9)) as f32;
        let painter = ui.painter();
        painter.vline(at(0.0), row.y_range(), Stroke::new(1.0, p.line));
        if known {
            let (from, to) = (at(0.0).min(at(value.mean)), at(0.0).max(at(value.mean)));
            let bar = Rect::from_x_y_ranges(from..=to.max(from + 1.0), bars.y_range());
            painter.rect_filled(bar, 2.0, color);
            let spread = at(value.mean - value.error)..=at(value.mean + value.error);
            let pen = Stroke::new(1.5, p.text.gamma_multiply(0.7));
            painter.hline(spread, row.center().y, pen);
        }
        let of = accuracy.map_or_else(String::new, |share| {
            format!(" The behaviour is there on {} of the pairs.", format::percent(share))
        });
        let definition = format!(
            "{what} Mean of the metric over {n} pairs, with its standard error: {figure}.{of}"
        );
        define(ui, response, name, &definition);
    }
}

fn line(ui: &Ui, row: Rect, name: &str, figure: Option<&str>, accuracy: Option<f64>, ink: Color32) {
    let p = palette(ui);
    let painter = ui.painter();
    let small = FontId::proportional(size::SMALL);
    let digits = FontId::monospace(11.5);
    let ink = if figure.is_some() { ink } else { p.faint };
    painter.text(row.left_center(), Align2::LEFT_CENTER, name, small, ink);
    let right = |x: f32| pos2(row.max.x - x, row.center().y);
    let figure = figure.unwrap_or("–");
    painter.text(right(50.0), Align2::RIGHT_CENTER, figure, digits.clone(), ink);
    if let Some(share) = accuracy {
        let share = format!("{:.0} %", 100.0 * share);
        painter.text(right(0.0), Align2::RIGHT_CENTER, share, digits, p.weak);
    }
}

/// Faithfulness and completeness, large.
fn shares(ui: &mut Ui, verdict: &Verdict) {
    let none = "F(M) and F(∅) are no further apart than twice the standard error of their \
                difference: a share of it means nothing.";
    let figure = |ui: &mut Ui, name: &str, share: Option<Estimate>, formula: &str| {
        let value = share.map_or_else(|| "–".to_owned(), |s| format!("{:.2}", s.mean));
        let spread = share.map_or_else(String::new, |s| format!("± {:.2}", s.error));
        let definition = match share {
            Some(share) => format!(
                "{formula} = {:.4} ± {:.4} (standard error, to first order, over {} pairs).",
                share.mean,
                share.error,
                verdict.pairs.len()
            ),
            None => none.to_owned(),
        };
        let inner = ui.vertical(|ui| {
            ui.spacing_mut().item_spacing.y = 0.0;
            ui.add(Label::new(weak(ui, name)).selectable(false));
            ui.horizontal(|ui| {
                ui.spacing_mut().item_spacing.x = 5.0;
                ui.add(Label::new(theme::strong(value, size::FIGURE)).selectable(false));
                ui.add(Label::new(weak(ui, spread)).selectable(false));
            });
        });
        define(ui, inner.response, name, &definition);
    };
    let formula = match verdict.cuts.is_empty() {
        true => "(F(C) − F(∅)) / (F(M) − F(∅))",
        false => "With the cut: (F(C) − F(∅)) / (F(M) − F(∅))",
    };
    figure(ui, "Faithfulness", verdict.faithfulness, formula);
    if let (false, Some(before)) = (verdict.cuts.is_empty(), verdict.uncut_faithfulness) {
        ui.label(weak(ui, format!("was {:.2}", before.mean)));
    } else {
        ui.add_space(17.0);
    }
    ui.add_space(4.0);
    let formula = "0 is best: (F(M∖C) − F(∅)) / (F(M) − F(∅)), what is left without the circuit";
    figure(ui, "Completeness", verdict.completeness, formula);
}

/// The likeliest next tokens of one prompt, before and after.
fn tokens(ui: &mut Ui, form: &mut CircuitForm, judged: &Judged) {
    let verdict = &judged.verdict;
    let count = verdict.pairs.len();
    if count == 0 {
        return;
    }
    let at = form.verdict.pair.min(count - 1);
    let pair = &verdict.pairs[at];
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 2.0;
        if ui.small_button("‹").on_hover_text("Previous prompt").clicked() {
            form.verdict.pair = (at + count - 1) % count;
        }
        if ui.small_button("›").on_hover_text("Next prompt").clicked() {
            form.verdict.pair = (at + 1) % count;
        }
        let (prompt, answer) = judged.prompts.get(at).cloned().unwrap_or_default();
        let text = format!("{prompt}…");
        ui.add(Label::new(theme::mono(&text, 12.0)).truncate()).on_hover_text(format!(
            "{prompt}\nexpected: {}\nF: {:.3}, with the cut {:.3}, circuit {:.3}",
            answer.trim(),
            pair.model,
            pair.cut_model,
            pair.circuit
        ));
    });
    let cut = !verdict.cuts.is_empty();
    let mut lists = vec![("model", &pair.next)];
    if cut {
        lists.push(("model, cut", &pair.next_cut));
    }
    lists.push((if cut { "circuit, cut" } else { "circuit" }, &pair.next_circuit));
    let wide = (ui.available_width() - 8.0 * (lists.len() - 1) as f32) / lists.len() as f32;
    ui.horizontal_top(|ui| {
        ui.spacing_mut().item_spacing.x = 8.0;
        for (name, next) in lists {
            ui.vertical(|ui| {
                ui.set_width(wide);
                ui.spacing_mut().item_spacing.y = 0.0;
                ui.add(Label::new(weak(ui, name)).selectable(false));
                for token in next.iter().take(NEXT) {
                    likely(ui, token, wide);
                }
            });
        }
    });
}

fn likely(ui: &mut Ui, token: &NextToken, wide: f32) {
    let p = palette(ui);
    let (row, response) = ui.allocate_exact_size(vec2(wide, 17.0), Sense::hover());
    let percent = format!("{:.0} %", 100.0 * token.probability);
    let said = format!("{:?} {percent}", token.text);
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, said.as_str()));
    let font = FontId::monospace(11.5);
    let long = (row.width() * token.probability as f32).clamp(1.0, row.width());
    let bar = Rect::from_min_size(row.min + vec2(0.0, 1.5), vec2(long, row.height() - 3.0));
    ui.painter().rect_filled(bar, 2.0, p.accent_ground);
    let text = drawable(ui.ctx(), &font, &token.text).replace(' ', "·");
    let name = Rect::from_min_max(row.min, pos2(row.max.x - 40.0, row.max.y));
    let painter = ui.painter().with_clip_rect(name.intersect(ui.clip_rect()));
    let left = name.left_center() + vec2(4.0, 0.0);
    painter.text(left, Align2::LEFT_CENTER, text, font.clone(), p.text);
    let right = row.right_center() - vec2(3.0, 0.0);
    ui.painter().text(right, Align2::RIGHT_CENTER, percent, font, p.weak);
    response.on_hover_text_at_pointer(format!(
        "{:?}: probability {:.5}, logit {:.3}",
        token.text, token.probability, token.logit
    ));
}
