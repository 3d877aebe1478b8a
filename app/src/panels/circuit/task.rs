//! The task: which behaviour, in which prompts, with which dictionaries, found how.
//!
//! What a person wants to know here: which behaviour is this about, which of my pairs can be used
//! and why not the others, does the model do it at all, is there a dictionary at every site, what
//! will be computed, and what was found before.

use super::{how, nodes, pairs, saved};
use crate::commands::{CircuitCommand, Command, TaskCommand};
use crate::context::Cx;
use crate::format;
use crate::forms::{CircuitForm, DataForm, TaskForm};
use crate::state::Prepared;
use crate::theme::palette;
use crate::widgets::card::{button, figure, titled, weak};
use crate::widgets::typing::rested;
use egui::{ComboBox, Label, RichText, ScrollArea, TextEdit, Ui, vec2};
use sparsescope_core::circuits::{Change, Task};

/// Seconds without typing after which the pairs are looked at.
const DEBOUNCE: f64 = 0.4;

/// Lines of text are not made better by being wider.
pub const WIDEST: f32 = 1560.0;

/// Tasks that the built-in world writes: name, what it is called here, an example.
pub const WORLD: [(&str, &str, &str); 4] = [
    ("simple", "Simple", "The pilots → are, not is"),
    ("across-pp", "Across a phrase", "The pilots near the old house → are, not is"),
    ("across-rc", "Across a clause", "The pilots that the driver sees → are, not is"),
    ("within-rc", "Within a clause", "The car that the pilots → see, not sees"),
];

/// Draws it.
pub fn task(ui: &mut Ui, cx: &Cx<'_>, form: &mut CircuitForm, data: &DataForm) {
    ScrollArea::vertical().id_salt("task").auto_shrink(false).show(ui, |ui| {
        ui.set_max_width(ui.available_width().min(WIDEST));
        let wide = ui.available_width();
        let side = (wide * 0.36).clamp(340.0, 460.0);
        ui.horizontal_top(|ui| {
            ui.spacing_mut().item_spacing.x = 12.0;
            ui.allocate_ui(vec2(wide - side - 12.0, 0.0), |ui| {
                ui.vertical(|ui| {
                    behaviour(ui, cx, &mut form.task);
                    ui.add_space(10.0);
                    saved::circuits(ui, cx, &mut form.task);
                });
            });
            ui.allocate_ui(vec2(side, 0.0), |ui| {
                ui.vertical(|ui| {
                    nodes::nodes(ui, cx, &mut form.task, data);
                    ui.add_space(10.0);
                    how::how(ui, &mut form.task);
                });
            });
        });
        ui.add_space(20.0);
    });
    follow(ui, cx, &mut form.task);
}

/// Asks again what can be used once the pairs, or what decides on them, have changed.
fn follow(ui: &Ui, cx: &Cx<'_>, form: &mut TaskForm) {
    if cx.state.model.facts.is_none() || form.rows.is_empty() {
        return;
    }
    let asked = cx.state.circuit.task.asked.as_ref();
    let other = |(_, metric, change): &(Task, _, Change)| {
        *metric != form.spec.metric || *change != form.spec.change
    };
    let stale = asked.is_none_or(other);
    if rested(ui, &mut form.changed, DEBOUNCE) || stale && form.changed.is_none() {
        let (metric, change) = (form.spec.metric.clone(), form.spec.change);
        ask(cx, TaskCommand::Prepare(form.task(), metric, change));
    }
}

/// Sends a command of the task.
pub fn ask(cx: &Cx<'_>, command: TaskCommand) {
    cx.send(Command::Circuit(CircuitCommand::Task(command)));
}

fn behaviour(ui: &mut Ui, cx: &Cx<'_>, form: &mut TaskForm) {
    let note = match form.rows.len() {
        0 => String::new(),
        n => format!("{} pairs", format::grouped(n as u64)),
    };
    titled(ui, "Behaviour", &note, |ui| {
        sources(ui, cx, form);
        if form.rows.is_empty() {
            ui.add_space(10.0);
            let text = "Choose one of the built-in behaviours, open a file of pairs, or write \
                        your own: each pair is a prompt, a prompt that differs in what matters, \
                        and the answers that are expected after each.";
            ui.add(Label::new(RichText::new(text).color(palette(ui).weak)).wrap());
            ui.add_space(6.0);
            if button(ui, "Write the first pair").clicked() {
                form.rows.push(Default::default());
                form.name = "my task".to_owned();
            }
            return;
        }
        ui.add_space(8.0);
        if let Some(prepared) = cx.state.circuit.task.prepared.as_deref() {
            summary(ui, prepared, cx.state.circuit.task.pending);
            ui.add_space(8.0);
        } else if cx.state.circuit.task.pending {
            ui.label(weak(ui, "Looking at the pairs…"));
        }
        pairs::pairs(ui, cx, form);
    });
}

fn sources(ui: &mut Ui, cx: &Cx<'_>, form: &mut TaskForm) {
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing = vec2(6.0, 6.0);
        ui.label(weak(ui, "Agreement of verbs"));
        for (name, shown, example) in WORLD {
            let chosen = form.name == format!("world:{name}");
            if ui.selectable_label(chosen, shown).on_hover_text(example).clicked() {
                ask(cx, TaskCommand::World(name.to_owned(), form.pairs));
            }
        }
        if button(ui, "Open a file…")
            .on_hover_text("JSON Lines with clean_prefix, patch_prefix, clean_answer, patch_answer")
            .clicked()
        {
            ask(cx, TaskCommand::Browse);
        }
        let tasks = &cx.state.circuit.task.tasks;
        if !tasks.is_empty() {
            ComboBox::new("tasks", "")
                .selected_text("Saved tasks")
                .width(130.0)
                .show_ui(ui, |ui| {
                    for task in tasks {
                        if ui.selectable_label(form.name == task.name, &task.name).clicked() {
                            ask(cx, TaskCommand::Show(task.id));
                        }
                    }
                })
                .response
                .widget_info(|| {
                    egui::WidgetInfo::labeled(egui::Role::ComboBox, true, "Saved tasks")
                });
        }
    });
    if form.rows.is_empty() {
        return;
    }
    ui.add_space(4.0);
    ui.horizontal(|ui| {
        let label = ui.label(weak(ui, "Name"));
        let field = TextEdit::singleline(&mut form.name).desired_width(220.0);
        if ui.add(field).labelled_by(label.id).changed() {
            form.edited = true;
        }
        let named = !form.name.trim().is_empty();
        ui.add_enabled_ui(named && form.edited, |ui| {
            if button(ui, "Save task").clicked() {
                form.edited = false;
                ask(cx, TaskCommand::Save(form.task()));
            }
        });
        if form.edited {
            ui.label(weak(ui, "changed"));
        }
        let saved = cx.state.circuit.task.tasks.iter().find(|task| task.name == form.name.trim());
        if let Some(saved) = saved
            && button(ui, "Forget task")
                .on_hover_text("Takes it off the saved ones; its pairs stay here to be saved again")
                .clicked()
        {
            form.edited = true;
            ask(cx, TaskCommand::Forget(saved.id));
        }
    });
}

/// What can be used, and whether the model does what is expected at all.
fn summary(ui: &mut Ui, prepared: &Prepared, pending: bool) {
    let p = palette(ui);
    ui.scope(|ui| {
        if pending {
            ui.set_opacity(0.55);
        }
        ui.horizontal_wrapped(|ui| {
            ui.spacing_mut().item_spacing.x = 26.0;
            let all = prepared.why.len();
            let color = (prepared.usable == 0).then_some(p.bad);
            figure(
                ui,
                "Pairs that can be used",
                &format!("{} of {all}", format::grouped(prepared.usable as u64)),
                color,
                "Prompts of a pair need the same number of tokens, and each answer has to be one \
                 token. Nothing else is left out.",
            );
            if prepared.measured == 0 {
                return;
            }
            let share = prepared.right as f64 / prepared.measured as f64;
            figure(
                ui,
                "The model gets right",
                &format::percent(share),
                (share < 0.75).then_some(p.warn),
                &format!(
                    "Paired accuracy: {} of {} pairs on which the metric is positive, that is, the \
                     clean answer beats the patch answer. 50 % is chance: then there is no \
                     behaviour to explain.",
                    prepared.right, prepared.measured
                ),
            );
            let estimate = |e: sparsescope_core::circuits::Estimate| {
                format!("{} ± {:.2}", format::figure(e.mean), e.error)
            };
            figure(
                ui,
                "Metric, clean prompts",
                &estimate(prepared.metric),
                None,
                "F, the mean of the metric on the clean prompts with its standard error.",
            );
            if let Some(patched) = prepared.patched {
                figure(
                    ui,
                    "Metric, patch prompts",
                    &estimate(patched),
                    None,
                    "The same metric, with the clean answers, on the patch prompts. The difference \
                     of the two is what a circuit has to explain.",
                );
            }
        });
        if !prepared.left_out.is_empty() {
            let said: Vec<String> = prepared
                .left_out
                .iter()
                .map(|(why, n)| format!("{why} ({})", format::grouped(*n as u64)))
                .collect();
            let text = format!("Left out: {}.", said.join(", "));
            ui.add(Label::new(RichText::new(text).size(12.5).color(p.warn)).wrap());
        }
        if prepared.lengths.len() > 1 {
            let said: Vec<String> =
                prepared.lengths.iter().map(|(length, n)| format!("{n} of {length}")).collect();
            let text = format!("Tokens a prompt: {}.", said.join(", "));
            ui.add(Label::new(weak(ui, text)).wrap());
        }
    });
}
