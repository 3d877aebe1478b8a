//! What is kept: the study as files, the trim as a set of edits, studies of the workspace.

use super::{ask, data::combo};
use crate::commands::{ShiftCommand, ShiftFile};
use crate::context::Cx;
use crate::forms::ShiftForm;
use crate::theme::{self, palette};
use crate::widgets::card::{button, icon_button, titled, weak};
use crate::widgets::icon::Icon;
use egui::{Align, Key, Label, Layout, RichText, TextEdit, Ui, vec2};
use sparsescope_core::workspace::StudyRecord;

/// Draws it.
pub fn saved(ui: &mut Ui, cx: &Cx<'_>, form: &mut ShiftForm) {
    let state = &cx.state.shift;
    let note = match (state.study, state.saved) {
        (Some(_), true) => "saved",
        (Some(_), false) => "saving…",
        (None, _) => "",
    };
    titled(ui, "Study", note, |ui| {
        ui.spacing_mut().item_spacing.y = 8.0;
        if state.found.is_some() {
            name(ui, cx, form);
            ui.horizontal_wrapped(|ui| {
                ui.spacing_mut().item_spacing = vec2(6.0, 6.0);
                for (file, name, hint) in [
                    (ShiftFile::Csv, "Table as CSV…", "Every row with its intervals"),
                    (ShiftFile::Page, "Page…", "All of it as one HTML page"),
                    (ShiftFile::SaveJudgements, "Judgements…", "As JSON, to be given again"),
                    (ShiftFile::OpenJudgements, "Take judgements…", "From such a file"),
                ] {
                    if button(ui, name).on_hover_text(hint).clicked() {
                        ask(cx, ShiftCommand::Ask(file));
                    }
                }
            });
            edits(ui, cx);
            ui.separator();
        }
        list(ui, cx, form);
    });
}

fn name(ui: &mut Ui, cx: &Cx<'_>, form: &mut ShiftForm) {
    let state = &cx.state.shift;
    ui.horizontal(|ui| {
        let label = ui.label(weak(ui, "Name"));
        let field = TextEdit::singleline(&mut form.name).desired_width(260.0);
        let response = ui.add(field).labelled_by(label.id);
        if !response.has_focus() && !response.lost_focus() && form.name != state.name {
            form.name.clone_from(&state.name);
        }
        let typed = form.name.trim();
        if response.lost_focus() && typed != state.name && !typed.is_empty() {
            ask(cx, ShiftCommand::Rename(typed.to_owned()));
        }
        ui.label(weak(ui, "kept at every judgement"));
    });
}

/// The trim as edits, to be loaded on the circuit and steering screens.
fn edits(ui: &mut Ui, cx: &Cx<'_>) {
    let state = &cx.state.shift;
    let trimmed = state.judged.now.trimmed().len();
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing = vec2(6.0, 6.0);
        ui.label(weak(ui, "The trim as edits"));
        ui.add_enabled_ui(trimmed > 0, |ui| {
            if button(ui, "Keep")
                .on_hover_text(
                    "In the workspace, under the study's name: the Circuit and Steer screens can \
                     load it",
                )
                .clicked()
            {
                ask(cx, ShiftCommand::KeepEdits(state.name.clone()));
            }
            if button(ui, "To a file…").clicked() {
                ask(cx, ShiftCommand::Ask(ShiftFile::SaveEdits));
            }
        });
        if button(ui, "From a file…").on_hover_text("What it ablates is trimmed").clicked() {
            ask(cx, ShiftCommand::Ask(ShiftFile::OpenEdits));
        }
        let model = cx.state.model.facts.as_ref().map(|f| f.hash.as_str());
        let here: Vec<_> = cx
            .state
            .steer
            .sets
            .iter()
            .filter(|set| set.model.is_empty() || Some(set.model.as_str()) == model)
            .collect();
        if !here.is_empty() {
            combo(ui, "Take a set of edits", "Take a set…", 130.0, |ui| {
                for set in here {
                    let text = format!("{} ({})", set.name, set.edits);
                    if ui.selectable_label(false, text).clicked() {
                        ask(cx, ShiftCommand::TakeEdits(set.id));
                    }
                }
            });
        }
    });
}

fn list(ui: &mut Ui, cx: &Cx<'_>, form: &mut ShiftForm) {
    let state = &cx.state.shift;
    ui.horizontal(|ui| {
        ui.label(theme::strong("Studies of this workspace", 13.5));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if state.found.is_some() && button(ui, "Begin a new one").clicked() {
                ask(cx, ShiftCommand::New);
            }
        });
    });
    if state.studies.is_empty() {
        let said = "None yet. A study is kept from the moment its circuit is found, with everything \
                    that made it.";
        ui.add(Label::new(weak(ui, said)).wrap());
    }
    ui.spacing_mut().item_spacing.y = 1.0;
    for study in &state.studies {
        line(ui, cx, form, study, state.study == Some(study.id));
    }
    if form.deleting.is_some() && ui.input(|i| i.key_pressed(Key::Escape)) {
        form.deleting = None;
    }
}

fn line(ui: &mut Ui, cx: &Cx<'_>, form: &mut ShiftForm, study: &StudyRecord, open: bool) {
    let p = palette(ui);
    ui.horizontal(|ui| {
        ui.set_height(28.0);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if form.deleting == Some(study.id) {
                if button(ui, "Delete for good").clicked() {
                    form.deleting = None;
                    ask(cx, ShiftCommand::Delete(study.id));
                }
                if button(ui, "Keep it").clicked() {
                    form.deleting = None;
                }
            } else if icon_button(ui, Icon::Close, &format!("Delete {}", study.name)).clicked() {
                form.deleting = Some(study.id);
            }
            let here = cx.state.model.facts.as_ref().is_some_and(|f| f.hash == study.model);
            if !here {
                let text = RichText::new("another model").size(12.0).color(p.warn);
                ui.add(Label::new(text).selectable(false));
            }
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                let name = theme::strong(study.name.as_str(), 13.5);
                let name = if open { name.color(p.accent) } else { name };
                if ui.link(name).on_hover_text("Open it").clicked() {
                    ask(cx, ShiftCommand::Open(study.id));
                }
            });
        });
    });
}
