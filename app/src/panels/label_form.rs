//! Whom to ask for labels, about what; and what that costs, before anything is sent.

use crate::commands::{Command, LabelsCommand};
use crate::context::Cx;
use crate::format;
use crate::forms::{LabelsForm, Which};
use crate::jobs::Kind;
use crate::theme::{self, palette};
use crate::widgets::card::{button, fact, primary, sentence, titled, weak};
use egui::{CollapsingHeader, DragValue, Label, ScrollArea, TextEdit, Ui};
use sparsescope_core::labels::{Agreed, Delivery, Key, KeySource, Price, Protocol, RULE};
use sparsescope_core::workspace::SaeId;

/// Width of a field for text.
const FIELD: f32 = 220.0;

/// A line: name at the left, widget at the right.
fn line(ui: &mut Ui, name: &str, hint: &str, add: impl FnOnce(&mut Ui) -> egui::Response) {
    ui.horizontal(|ui| {
        let label = ui.add(Label::new(weak(ui, name)).selectable(false));
        let label = if hint.is_empty() { label } else { label.on_hover_text(hint) };
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            add(ui).labelled_by(label.id);
        });
    });
}

fn says(ui: &mut Ui, text: impl Into<String>) {
    let text = weak(ui, text);
    ui.add(Label::new(text).wrap());
}

/// Draws the form.
pub fn form(ui: &mut Ui, cx: &Cx<'_>, form: &mut LabelsForm, sae: SaeId) {
    ui.spacing_mut().item_spacing.y = 7.0;
    ui.horizontal(|ui| {
        for (protocol, what) in [
            (Protocol::OpenAi, "OpenAI, and most servers of one's own: chat completions."),
            (Protocol::Anthropic, "Anthropic: messages, and batches of them at half the price."),
        ] {
            let chosen = form.protocol == protocol;
            if ui.selectable_label(chosen, protocol.name()).on_hover_text(what).clicked() {
                form.speak(protocol);
            }
        }
    });
    let field = |ui: &mut Ui, text: &mut String, hint: &str| {
        ui.add(TextEdit::singleline(text).hint_text(hint).desired_width(FIELD))
    };
    let hint = "The server's address; a server on this machine will do: http://localhost:8080/v1";
    line(ui, "Address", hint, |ui| field(ui, &mut form.url, "https://…"));
    let hint = "The model, by the name the server knows.";
    line(ui, "Model", hint, |ui| field(ui, &mut form.model, "its name there"));
    key(ui, cx, form);
    if form.protocol == Protocol::Anthropic {
        ui.horizontal(|ui| {
            for (delivery, name, what) in [
                (Delivery::Direct, "At once", "Requests one by one; answers come at once."),
                (
                    Delivery::Batch,
                    "As batches",
                    "Answered within a day; the program may be closed meanwhile.",
                ),
            ] {
                let chosen = form.delivery == delivery;
                if ui.selectable_label(chosen, name).on_hover_text(what).clicked() {
                    form.delivery = delivery;
                }
            }
        });
    }
    ui.separator();
    ui.horizontal_wrapped(|ui| {
        for (which, name, what) in [
            (Which::Unlabelled, "Unlabelled", "Latents without a label, the most frequent first."),
            (Which::Frequent, "Frequent", "The most frequent latents, labelled or not."),
            (Which::Chosen, "The chosen one", "The latent that is open on the Features screen."),
        ] {
            if ui.selectable_label(form.which == which, name).on_hover_text(what).clicked() {
                form.which = which;
            }
        }
    });
    if form.which != Which::Chosen {
        line(ui, "Latents at most", "", |ui| {
            ui.add(DragValue::new(&mut form.most).range(1..=100_000).speed(1))
        });
    }
    ui.checkbox(&mut form.judge, "Judge each label on other examples").on_hover_text(
        "Detection and fuzzing: from the label alone, a judge says where the latent fires, on \
         examples that the label was not written from. About six requests more for each latent.",
    );
    CollapsingHeader::new("Pace").show(ui, |ui| {
        line(ui, "Requests a minute", "", |ui| {
            ui.add(DragValue::new(&mut form.limits.requests_a_minute).range(1..=100_000))
        });
        line(ui, "Tokens a minute", "", |ui| {
            let tokens = DragValue::new(&mut form.limits.tokens_a_minute);
            ui.add(tokens.range(1000..=1_000_000_000).speed(1000))
        });
        line(ui, "At the same time", "", |ui| {
            ui.add(DragValue::new(&mut form.limits.at_once).range(1..=64))
        });
    });
    price(ui, cx, form);
    let features = &cx.state.features;
    let latents = features
        .table
        .as_deref()
        .map(|table| form.latents(table, &features.labels, features.latent))
        .unwrap_or_default();
    let checked = form.endpoint().check();
    let busy = cx.state.jobs.iter().any(|j| j.kind == Kind::Label);
    let blocked = match &checked {
        _ if cx.state.model.facts.is_none() => Some("Open the model first.".to_owned()),
        _ if features.table.is_none() => Some("Collect the features of this SAE first.".into()),
        _ if latents.is_empty() => Some("There is no such latent.".into()),
        _ if form.model.trim().is_empty() => Some("Name the model to be asked.".into()),
        Err(error) => Some(format!("{}. {}.", error.why, error.remedy)),
        _ if busy => Some("A run is under way.".into()),
        Ok(()) => None,
    };
    let planning = cx.state.labels.planning;
    let text = match (planning, latents.len()) {
        (true, _) => "Working it out…".to_owned(),
        (_, 1) => "What would 1 label cost?".to_owned(),
        (_, n) => format!("What would {} labels cost?", format::grouped(n as u64)),
    };
    if primary(ui, &text, blocked.is_none() && !planning).clicked() {
        let request = form.request(sae, latents);
        cx.send(Command::Labels(LabelsCommand::Plan(Box::new(request))));
    }
    match blocked {
        Some(why) => says(ui, sentence(&why)),
        None => says(ui, "Nothing is sent before you have seen the cost and agreed to it."),
    }
}

fn key(ui: &mut Ui, cx: &Cx<'_>, form: &mut LabelsForm) {
    ui.horizontal(|ui| {
        let hint = "Servers of one's own mostly want none.";
        ui.checkbox(&mut form.keyed, "It wants a key").on_hover_text(hint);
    });
    if !form.keyed {
        return;
    }
    let hint = "The environment variable that holds the key or, if it is not set, the entry of the \
                system's keyring. The key itself is in no file of this program.";
    line(ui, "Key named", hint, |ui| {
        let edit = TextEdit::singleline(&mut form.key).font(egui::FontId::monospace(12.5));
        ui.add(edit.desired_width(FIELD))
    });
    if form.looked != form.key {
        form.looked.clone_from(&form.key);
        cx.send(Command::Labels(LabelsCommand::FindKey(form.key.trim().to_owned())));
    }
    let p = palette(ui);
    match &cx.state.labels.key {
        Some((name, Ok(place))) if *name == form.key.trim() => {
            ui.label(weak(ui, format!("Found {place}.")).color(p.good));
        }
        Some((name, Err(error))) if *name == form.key.trim() => {
            says(ui, sentence(&format!("{}. {}", error.why, error.remedy)));
            ui.horizontal(|ui| {
                let wide = ui.available_width() - 150.0;
                let edit = TextEdit::singleline(&mut form.typed).password(true);
                ui.add(edit.hint_text("the key").desired_width(wide)).accessible_name("The key");
                let pressed = button(ui, "Keep in keyring").clicked();
                if pressed && let Ok(key) = Key::new(&std::mem::take(&mut form.typed)) {
                    let name = form.key.trim().to_owned();
                    cx.send(Command::Labels(LabelsCommand::KeepKey(name, key)));
                }
            });
        }
        _ => {}
    }
}

fn price(ui: &mut Ui, cx: &Cx<'_>, form: &mut LabelsForm) {
    let endpoint = form.endpoint();
    if endpoint.is_local() && endpoint.key == KeySource::None {
        says(ui, "A server on this machine without a key: nothing is counted as its price.");
        return;
    }
    CollapsingHeader::new("Price").show(ui, |ui| {
        says(
            ui,
            "US dollars for a million tokens, as the service says. This program knows no prices.",
        );
        line(ui, "Read", "", |ui| {
            ui.add(DragValue::new(&mut form.price.0).range(0.0..=10_000.0).speed(0.05).prefix("$ "))
        });
        line(ui, "Written", "", |ui| {
            ui.add(DragValue::new(&mut form.price.1).range(0.0..=10_000.0).speed(0.05).prefix("$ "))
        });
        let named = !endpoint.model.is_empty();
        let text = if named { format!("Keep for {}", endpoint.model) } else { "Keep".to_owned() };
        let keep = ui.add_enabled_ui(named, |ui| button(ui, &text)).inner;
        if keep.clicked()
            && let Ok(price) = Price::new(form.price.0, form.price.1)
        {
            cx.send(Command::Labels(LabelsCommand::Price(endpoint.model.clone(), Some(price))));
            cx.send(Command::Labels(LabelsCommand::Forget));
        }
    });
}

/// An amount of money, to what a person would look at.
pub fn dollars(amount: f64) -> String {
    if amount > 0.0 && amount < 0.01 { format!("${amount:.4}") } else { format!("${amount:.2}") }
}

/// Draws the estimate, and the button that agrees to it.
pub fn estimate(ui: &mut Ui, cx: &Cx<'_>) {
    let Some(planned) = &cx.state.labels.planned else { return };
    let e = &planned.estimate;
    let note = format!("{} at {}", planned.endpoint.model, planned.endpoint.url);
    titled(ui, "What it would cost", &note, |ui| {
        fact(ui, "Latents", &format::grouped(e.latents as u64), "");
        fact(
            ui,
            "Requests",
            &format::grouped(e.requests),
            "One for each label, the others to judge it.",
        );
        fact(ui, "Tokens to read", &format::grouped(e.input_tokens), RULE);
        fact(ui, "Tokens to write, at most", &format::grouped(e.output_tokens), RULE);
        let price = match e.price {
            Some(price) => format!("${} and ${} a million", price.input, price.output),
            None => "not known".to_owned(),
        };
        fact(ui, "Price of tokens read and written", &price, "As it was entered for this model.");
        if e.seconds > 0 {
            let time = format::duration(std::time::Duration::from_secs(e.seconds));
            fact(ui, "Least time", &time, "At the pace that is set.");
        }
        if !e.skipped.is_empty() {
            let (latent, why) = &e.skipped[0];
            let said = match e.skipped.len() {
                1 => format!("Latent {latent} is left out: {why}."),
                n => format!("{n} latents are left out; of latent {latent}: {why}."),
            };
            says(ui, said);
        }
        CollapsingHeader::new("The first request").show(ui, |ui| {
            ScrollArea::vertical().id_salt("sample").max_height(220.0).show(ui, |ui| {
                ui.add(Label::new(theme::mono(planned.sample.as_str(), 11.5)).wrap());
            });
        });
        ui.add_space(4.0);
        let (text, agreed) = match e.cost {
            Some(cost) => (format!("Send, for {} at most", dollars(cost)), Agreed::Amount(cost)),
            None => (
                format!(
                    "Send {} tokens at a price not known here",
                    format::grouped(e.input_tokens + e.output_tokens)
                ),
                Agreed::UnknownPrice,
            ),
        };
        ui.horizontal(|ui| {
            if primary(ui, &text, true).clicked() {
                cx.send(Command::Labels(LabelsCommand::Start(agreed)));
            }
            if button(ui, "Put away").clicked() {
                cx.send(Command::Labels(LabelsCommand::Forget));
            }
        });
        if e.cost.is_none() {
            says(ui, "Enter the price at the left to see what this costs.");
        }
    });
    ui.add_space(10.0);
}
