//! The prompt screen: which latents fire on which token of a text, and what the next token owes
//! to them.
//!
//! What a person wants to know here: what does the dictionary see in this very sentence, which of
//! it does the model's next word depend on, and what is that latent otherwise about.

use super::prompt_table;
use crate::commands::{Command, PromptCommand};
use crate::context::Cx;
use crate::forms::{PromptForm, Rank};
use crate::state::Screen;
use crate::theme::palette;
use crate::widgets::card::{button, card, empty, failure, ring, screen_head, titled, weak};
use crate::widgets::choices::{Choice, choices};
use crate::widgets::icon::Icon;
use crate::widgets::strip::{Strip, strip};
use crate::widgets::typing::rested;
use crate::{format, theme};
use egui::{Label, TextEdit, Ui, vec2};
use sparsescope_core::features::{PromptReading, PromptSpec};
use sparsescope_core::workspace::SaeRecord;

/// Seconds without typing after which the text is read.
const DEBOUNCE: f64 = 0.2;
/// What the box begins with: a sentence whose next word depends on a word far back.
const EXAMPLE: &str = "The pilots near the old house";

/// Draws the screen.
pub fn prompt(ui: &mut Ui, cx: &Cx<'_>, form: &mut PromptForm) {
    let Some(sae) = &cx.state.features.sae else {
        screen_head(ui, "Prompt", "Which latents fire on a text of yours, token by token.");
        let text = "Open an SAE first: train one, run the tour at home, or choose one on the \
                    Pareto screen. Then every latent that fires on your text stands here.";
        if empty(ui, Icon::Prompt, "No SAE is open", text, Some("Go to Pareto")) {
            cx.send(Command::Go(Screen::Pareto));
        }
        return;
    };
    let said = format!(
        "{} on {}, SAE {}: what fires on each token, and what the next token owes to it.",
        sae.architecture, sae.site, sae.id
    );
    screen_head(ui, "Prompt", &said);
    typed(ui, cx, form, sae);
    let state = &cx.state.prompt;
    if let Some(error) = &state.failure {
        ui.add_space(6.0);
        if failure(ui, error, true) {
            cx.send(Command::DismissFailure(Screen::Prompt));
        }
    }
    let Some(reading) = state.reading.as_deref() else {
        if state.pending {
            ui.label(weak(ui, "Reading…"));
        } else if form.text.is_empty() {
            let text = "Type a sentence above. Nothing leaves this machine.";
            empty(ui, Icon::Prompt, "Nothing to read", text, None);
        }
        return;
    };
    prompt_table::refresh(form, reading, state.version);
    ui.add_space(8.0);
    tokens(ui, form, reading);
    ui.add_space(8.0);
    let wide = ui.available_width();
    let side = (wide * 0.34).clamp(300.0, 460.0);
    ui.horizontal_top(|ui| {
        ui.spacing_mut().item_spacing.x = 12.0;
        ui.allocate_ui(vec2(wide - side - 12.0, 0.0), |ui| {
            ui.vertical(|ui| prompt_table::table(ui, cx, form, reading, sae.id));
        });
        ui.allocate_ui(vec2(side, 0.0), |ui| {
            ui.vertical(|ui| {
                next(ui, cx, form, reading);
                ui.add_space(8.0);
                prompt_table::pinned(ui, cx, form, reading, sae.id);
            });
        });
    });
}

fn typed(ui: &mut Ui, cx: &Cx<'_>, form: &mut PromptForm, sae: &SaeRecord) {
    if !form.begun {
        form.begun = true;
        form.text = EXAMPLE.to_owned();
    }
    let label = ui.label(weak(ui, "A text; it is read as you type"));
    let field = TextEdit::multiline(&mut form.text)
        .hint_text("Type a sentence")
        .font(egui::FontId::proportional(15.0))
        .desired_width(f32::INFINITY)
        .desired_rows(2)
        .margin(egui::Margin::symmetric(10, 8));
    let response = ui.add(field).labelled_by(label.id);
    let response = ring(ui, response);
    if response.changed() {
        form.changed = Some(ui.input(|i| i.time));
        // Another text has other tokens.
        (form.position, form.target, form.against, form.token) = (None, None, None, None);
    }
    // Another dictionary, or another model, reads the same text anew.
    let asked = cx.state.prompt.asked.as_ref();
    let stale = asked.is_none_or(|(id, _)| *id != sae.id) && cx.state.model.facts.is_some();
    if rested(ui, &mut form.changed, DEBOUNCE) || stale && form.changed.is_none() {
        ask(cx, form);
    }
}

fn ask(cx: &Cx<'_>, form: &PromptForm) {
    cx.send(Command::Prompt(PromptCommand::Read(PromptSpec {
        text: form.text.clone(),
        position: form.position,
        target: form.target,
        against: form.against,
    })));
}

/// The tokens, shaded by the strongest latent that the table could list; a click chooses one.
fn tokens(ui: &mut Ui, form: &mut PromptForm, reading: &PromptReading) {
    card(ui, |ui| {
        let mut strength = vec![0.0f32; reading.tokens.len()];
        for fired in &reading.fired {
            let value = prompt_table::value(form.rank, fired).abs();
            let most = &mut strength[fired.position as usize];
            *most = most.max(value);
        }
        let full = strength.iter().copied().fold(0.0, f32::max);
        let texts: Vec<String> = reading.tokens.iter().map(|t| t.1.clone()).collect();
        let shown = Strip {
            tokens: &texts,
            shades: &strength,
            full,
            chosen: form.token,
            marked: Some(reading.position),
            quiet: reading.first,
        };
        if let Some(i) = strip(ui, &shown) {
            form.token = (form.token != Some(i)).then_some(i);
        }
        let mut said = match form.rank {
            Rank::Activation => "Shaded by the strongest latent on each token".to_owned(),
            Rank::Direct => "Shaded by the greatest direct effect on each token".to_owned(),
            Rank::Attribution => "Shaded by the greatest attribution on each token".to_owned(),
        };
        said += "; the framed token's successor is asked about. Click a token to list its latents.";
        if reading.cut > 0 {
            said += &format!(
                " The last {} tokens do not fit into the model's context and were left out.",
                format::grouped(reading.cut as u64)
            );
        }
        ui.add(Label::new(weak(ui, said)).wrap());
    });
}

/// What comes next, and which of it is looked at.
fn next(ui: &mut Ui, cx: &Cx<'_>, form: &mut PromptForm, reading: &PromptReading) {
    let after = reading.tokens.get(reading.position).map_or("", |t| t.1.as_str());
    titled(ui, "Next token", &format!("after {after:?}"), |ui| {
        if let Some(token) = form.token
            && token != reading.position
            && token >= reading.first
            && button(ui, "Ask after the chosen token").clicked()
        {
            (form.position, form.target, form.against) = (Some(token), None, None);
            ask(cx, form);
        }
        let mut listed: Vec<_> = reading.next.iter().collect();
        for extra in [Some(&reading.target), reading.against.as_ref()].into_iter().flatten() {
            if !listed.iter().any(|t| t.id == extra.id) {
                listed.push(extra);
            }
        }
        let shown: Vec<Choice<'_>> = listed
            .iter()
            .map(|t| Choice {
                text: &t.text,
                id: t.id,
                probability: t.probability,
                logit: f64::from(t.logit),
                chosen: t.id == reading.target.id,
                against: reading.against.as_ref().is_some_and(|a| a.id == t.id),
            })
            .collect();
        if let Some((id, second)) = choices(ui, &shown) {
            if second {
                form.against = (form.against != Some(id) && id != reading.target.id).then_some(id);
                form.target = form.target.or(Some(reading.target.id));
            } else {
                form.target = Some(id);
                form.against = form.against.filter(|a| *a != id);
            }
            form.position = Some(reading.position);
            ask(cx, form);
        }
        ui.add_space(4.0);
        let (name, definition) = match &reading.against {
            Some(other) => (
                format!("logit({}) − logit({})", quoted(&reading.target.text), quoted(&other.text)),
                "The difference of the two logits.",
            ),
            None => (
                format!("logit({}) − mean logit", quoted(&reading.target.text)),
                "The token's logit less the mean over all tokens: a logit alone may move without \
                 any probability moving.",
            ),
        };
        ui.horizontal_wrapped(|ui| {
            ui.label(weak(ui, "Effects are on"));
            ui.label(theme::mono(name, 12.5));
            ui.label(
                theme::mono(format!("=\u{a0}{:.3}", reading.metric), 12.5)
                    .color(palette(ui).accent),
            );
        })
        .response
        .on_hover_text(definition);
        let said = "Click a token to look at its logit; click the ring at its right to compare \
                    with it.";
        ui.add(Label::new(weak(ui, said)).wrap());
    });
}

fn quoted(text: &str) -> String {
    format!("“{}”", text.replace(' ', "·"))
}
