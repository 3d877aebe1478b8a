//! What a latent is called: its label, who says so and how well it fits; and the box to name it.

use crate::commands::{Command, LabelsCommand, LatentCommand, SteerCommand};
use crate::context::Cx;
use crate::format;
use crate::forms::FeatureForm;
use crate::theme::{self, palette};
use crate::widgets::card::{button, ring, weak};
use egui::{Align, Key, Label as Text, Layout, TextEdit, Ui};
use sparsescope_core::exchange::Format;
use sparsescope_core::workspace::{Judged, Label, LabelSource, SaeId};

/// Draws the head of a latent: its number, its label, a way to change it.
pub fn naming(ui: &mut Ui, cx: &Cx<'_>, form: &mut FeatureForm, latent: u32) {
    let sae = cx.state.features.sae.as_ref().map(|s| s.id);
    let label = cx.state.features.label_of(latent);
    if form.naming.as_ref().is_some_and(|(of, _)| Some(*of) != sae.map(|sae| (sae, latent))) {
        form.naming = None;
    }
    let Some(sae) = sae else {
        ui.label(theme::strong(format!("Latent {latent}"), 18.0));
        return;
    };
    if form.naming.is_some() {
        typed(ui, cx, form, sae, latent);
        return;
    }
    ui.horizontal_wrapped(|ui| {
        ui.label(theme::strong(format!("Latent {latent}"), 18.0));
        if let Some(label) = label {
            let text = theme::strong(label.text.as_str(), 15.0).color(palette(ui).series[1]);
            ui.add(Text::new(text).wrap());
        }
    });
    ui.horizontal(|ui| {
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            hand_out(ui, cx, latent);
            let definition = "Change this feature and see what the model then writes";
            if button(ui, "Steer with it").on_hover_text(definition).clicked() {
                cx.send(Command::Steer(SteerCommand::Add(sae, latent)));
            }
            let definition = "Take this label back: the one before it returns";
            if label.is_some() && button(ui, "Undo").on_hover_text(definition).clicked() {
                cx.send(Command::Labels(LabelsCommand::Undo { sae, latent }));
            }
            let verb = if label.is_some() { "Rename" } else { "Name it" };
            if button(ui, verb).clicked() {
                let text = label.map_or_else(String::new, |l| l.text.clone());
                form.naming = Some(((sae, latent), text));
                form.naming_begun = true;
            }
            // The buttons come first: what is said has the room that they leave.
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| match label {
                Some(label) => said_by(ui, label),
                None => {
                    ui.label(weak(ui, "No label yet"));
                }
            });
        });
    });
}

fn typed(ui: &mut Ui, cx: &Cx<'_>, form: &mut FeatureForm, sae: SaeId, latent: u32) {
    let Some((_, text)) = &mut form.naming else { return };
    let (mut save, mut leave) = (false, false);
    ui.horizontal(|ui| {
        ui.label(theme::strong(format!("Latent {latent}"), 18.0));
        let room = (ui.available_width() - 150.0).max(80.0);
        let field =
            TextEdit::singleline(text).hint_text("What does it stand for?").desired_width(room);
        let response = ui.add(field).accessible_name("Label");
        if std::mem::take(&mut form.naming_begun) {
            response.request_focus();
        }
        let enter = response.lost_focus() && ui.input(|i| i.key_pressed(Key::Enter));
        leave = response.lost_focus() && ui.input(|i| i.key_pressed(Key::Escape));
        ring(ui, response);
        save = button(ui, "Save").clicked() || enter;
        leave |= button(ui, "Cancel").clicked();
    });
    if save {
        let text = text.trim().to_owned();
        cx.send(Command::Labels(LabelsCommand::Set { sae, latent, text }));
    }
    if save || leave {
        form.naming = None;
    }
}

/// The ways to give this feature, or all of them, to others.
fn hand_out(ui: &mut Ui, cx: &Cx<'_>, latent: u32) {
    ui.menu_button("Share", |ui| {
        for (latent, format, name, definition) in [
            (
                Some(latent),
                Format::Html,
                "This feature as a page…",
                "One HTML file that needs nothing else, to send to a colleague",
            ),
            (
                Some(latent),
                Format::Neuronpedia,
                "This feature as JSON…",
                "A folder of files as SAEDashboard and Neuronpedia have them",
            ),
            (
                None,
                Format::Html,
                "All features as a page…",
                "One HTML file with every feature that ever fired",
            ),
            (
                None,
                Format::Neuronpedia,
                "All features as JSON…",
                "A folder of files as SAEDashboard and Neuronpedia have them",
            ),
        ] {
            if ui.button(name).on_hover_text(definition).clicked() {
                cx.send(Command::OfLatent(LatentCommand::HandOut(latent, format)));
                ui.close();
            }
        }
    });
}

/// Who says so, and how well it fits.
fn said_by(ui: &mut Ui, label: &Label) {
    let mut parts = vec![match &label.source {
        LabelSource::Hand => "named by hand".to_owned(),
        LabelSource::Model { model, .. } => format!("named by {model}"),
        LabelSource::Truth { f1, .. } => format!("from the world's truth, F1 {f1:.3}"),
        LabelSource::Import { file } => {
            format!("imported from {}", file.rsplit('/').next().unwrap_or(file))
        }
    }];
    if let Some(scores) = &label.scores {
        for (name, judged) in [("detection", scores.detection), ("fuzzing", scores.fuzzing)] {
            if let Some(share) = judged.as_ref().and_then(Judged::balanced_accuracy) {
                parts.push(format!("{name} {}", format::percent(share)));
            }
        }
    }
    let definition = match &label.source {
        LabelSource::Truth { definition, .. } => definition.clone(),
        _ if label.scores.is_some() => "Balanced accuracy of a judge that was given this label \
            and texts that its writer had not seen: does the latent fire in this text (detection), \
            are these the tokens it fires on (fuzzing). Half is what guessing gets."
            .to_owned(),
        _ => String::new(),
    };
    let response = ui.add(Text::new(weak(ui, parts.join(" · "))).truncate());
    if !definition.is_empty() {
        response.on_hover_text(definition);
    }
}
