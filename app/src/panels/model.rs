//! The model screen.
//!
//! What a person wants to know here: which model is this exactly (name, place, hash), how large is
//! it and will it fit, which sites can be read, and does it compute the right thing: type a line
//! and see its tokens and what comes next.

use crate::commands::Command;
use crate::context::Cx;
use crate::format;
use crate::forms::ModelForm;
use crate::state::{ModelFacts, Screen};
use crate::theme::{mono, palette};
use crate::widgets::bars::{Likely, likely};
use crate::widgets::card::{
    button, card, empty, fact, failure, figure, ring, screen_head, titled, weak,
};
use crate::widgets::icon::Icon;
use crate::widgets::site_diagram::site_diagram;
use crate::widgets::token_strip::{Chip, chips};
use crate::widgets::typing::rested;
use egui::{Label, TextEdit, Ui};
use std::path::PathBuf;

/// Seconds without a keystroke after which the model is asked.
const DEBOUNCE: f64 = 0.2;

/// Draws the screen.
pub fn model(ui: &mut Ui, cx: &Cx<'_>, form: &mut ModelForm) {
    screen_head(
        ui,
        "Model",
        "Drop a Hugging Face Llama folder or its model.safetensors anywhere on this window.",
    );
    opener(ui, cx, form);
    ui.add_space(8.0);
    if let Some(error) = &cx.state.model.failure {
        if failure(ui, error, true) {
            cx.send(Command::DismissFailure(Screen::Model));
        }
        ui.add_space(8.0);
    }
    let Some(facts) = &cx.state.model.facts else {
        match &cx.state.model.loading {
            Some(name) => empty(
                ui,
                Icon::Model,
                &format!("Opening {name}"),
                "Its weights are being read.",
                None,
            ),
            None => empty(
                ui,
                Icon::Drop,
                "No model is open",
                "Drop a Llama's folder here, or write its path above. The folder holds \
                 config.json, model.safetensors and, for text, tokenizer.json.",
                None,
            ),
        };
        return;
    };
    shape(ui, facts);
    ui.add_space(10.0);
    sites(ui, cx, facts);
    ui.add_space(10.0);
    next(ui, cx, form, facts);
}

fn opener(ui: &mut Ui, cx: &Cx<'_>, form: &mut ModelForm) {
    ui.horizontal(|ui| {
        let label = ui.label(weak(ui, "Path"));
        let room = (ui.available_width() - 290.0).clamp(120.0, 700.0);
        let field = TextEdit::singleline(&mut form.path)
            .hint_text("folder, or model.safetensors")
            .desired_width(room);
        let response = ui.add(field).labelled_by(label.id);
        let enter = response.lost_focus() && ui.input(|i| i.key_pressed(egui::Key::Enter));
        let opened = button(ui, "Open").clicked() || enter;
        if opened && !form.path.trim().is_empty() {
            cx.send(Command::Open(PathBuf::from(form.path.trim())));
        }
        if button(ui, "Browse…").clicked() {
            cx.send(Command::BrowseModel);
        }
        let outside = cx.state.model.facts.as_ref().is_some_and(|f| f.path.is_some());
        if outside && button(ui, "Built-in").on_hover_text("Use the built-in model").clicked() {
            cx.send(Command::UseBuiltin);
        }
    });
}

fn shape(ui: &mut Ui, facts: &ModelFacts) {
    card(ui, |ui| {
        ui.columns(5, |columns| {
            let shown = [
                ("Parameters", format::count(facts.parameters as f64), "Every number in the weights; an embedding that is also the output matrix counts once."),
                ("Blocks", facts.layers.to_string(), "Transformer blocks, numbered from 0."),
                ("Width", facts.width.to_string(), "Length d of a residual-stream vector: what an SAE at resid.L reads."),
                ("Vocabulary", format::grouped(facts.vocab as u64), "Tokens the model knows."),
                ("Context", format::grouped(facts.context as u64), "Positions the model was made for."),
            ];
            for (ui, (name, value, definition)) in columns.iter_mut().zip(shown) {
                figure(ui, name, &value, None, definition);
            }
        });
    });
}

fn sites(ui: &mut Ui, cx: &Cx<'_>, facts: &ModelFacts) {
    let note = match cx.state.model.site {
        Some(site) => format!("{site} is set for training"),
        None => "click one to set it for training".to_owned(),
    };
    titled(ui, "Sites", &note, |ui| {
        if let Some(site) = site_diagram(ui, facts.layers, cx.state.model.site) {
            cx.send(Command::Choose(site));
        }
    });
}

fn next(ui: &mut Ui, cx: &Cx<'_>, form: &mut ModelForm, facts: &ModelFacts) {
    let next = &cx.state.model.next;
    titled(ui, "What comes next?", "", |ui| {
        if facts.tokenizer.is_none() {
            ui.label(weak(ui, "This folder has no tokenizer.json, so text cannot become tokens. Put the model's tokenizer.json beside its weights and open it again."));
            return;
        }
        let label = ui.label(weak(ui, "A line of text; the model is asked as you type"));
        let field = TextEdit::singleline(&mut form.text)
            .hint_text("Type the beginning of a sentence")
            .font(egui::FontId::proportional(15.0))
            .desired_width(f32::INFINITY)
            .margin(egui::Margin::symmetric(10, 8));
        let response = ui.add(field).labelled_by(label.id);
        let response = ring(ui, response);
        if response.changed() {
            form.changed = Some(ui.input(|i| i.time));
        }
        if rested(ui, &mut form.changed, DEBOUNCE) {
            cx.send(Command::AskNext(form.text.clone()));
        }
        ui.add_space(6.0);
        if let Some(error) = &next.failure {
            failure(ui, error, false);
        }
        let Some(answer) = &next.answer else {
            if next.pending {
                ui.label(weak(ui, "Computing…"));
            }
            return;
        };
        let shown: Vec<Chip<'_>> =
            answer.tokens.iter().map(|(text, id)| Chip { text, note: id.to_string() }).collect();
        chips(ui, &shown, 3);
        let mut said = format!("{} tokens", answer.tokens.len());
        if let Some(loss) = answer.loss {
            said += &format!(", mean negative log-likelihood {loss:.4} nats a token");
        }
        ui.add(Label::new(weak(ui, said)));
        ui.add_space(6.0);
        let list: Vec<Likely<'_>> = answer
            .likely
            .iter()
            .map(|t| Likely { text: &t.text, id: t.id, probability: t.probability, logit: t.logit })
            .collect();
        ui.horizontal(|ui| {
            ui.label(weak(ui, "Likeliest next token"));
            ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                ui.label(weak(ui, "probability       logit"));
            });
        });
        ui.spacing_mut().item_spacing.y = 1.0;
        likely(ui, &list);
    });
}

/// The inspector of this screen: what the configuration says, and the chosen site.
pub fn inspector(ui: &mut Ui, cx: &Cx<'_>) {
    let Some(facts) = &cx.state.model.facts else { return };
    ui.label(crate::theme::strong(facts.name.as_str(), 16.0));
    let place = facts
        .path
        .as_ref()
        .map_or("built into the program".to_owned(), |path| path.display().to_string());
    ui.add(Label::new(weak(ui, place)).wrap());
    ui.add_space(8.0);
    fact(
        ui,
        "Hash",
        &facts.hash.chars().take(12).collect::<String>(),
        &format!(
            "SHA-256 that names this model by its content: {}. Every SAE remembers the model it was trained on by it.",
            facts.hash
        ),
    );
    fact(ui, "Architecture", &facts.architecture, "As config.json names it.");
    fact(
        ui,
        "Heads",
        &format!("{} × {}", facts.heads, facts.head_dim),
        "Query heads × width of one head.",
    );
    let groups = if facts.kv_heads == facts.heads { "MHA" } else { "GQA" };
    fact(
        ui,
        "Key/value heads",
        &format!("{} ({groups})", facts.kv_heads),
        "Heads whose keys and values are kept; fewer than query heads means grouped-query attention.",
    );
    fact(
        ui,
        "MLP width",
        &format::grouped(facts.hidden as u64),
        "Width of the MLP's hidden layer.",
    );
    fact(ui, "Rotary", &facts.rope, "Base frequency of the rotary embedding and how it is scaled.");
    fact(
        ui,
        "Tied output",
        if facts.tied { "yes" } else { "no" },
        "Whether the output matrix is the embedding.",
    );
    fact(
        ui,
        "On disk",
        &facts.dtype,
        "Format of the numbers in the files; the program computes in f32.",
    );
    fact(ui, "Weights in memory", &format::bytes(facts.weight_bytes), "Parameters × 4 bytes.");
    fact(
        ui,
        "Tokenizer",
        facts.tokenizer.as_deref().unwrap_or("none"),
        "Kind and number of its tokens.",
    );
    ui.add_space(12.0);
    let Some(site) = cx.state.model.site else { return };
    ui.label(crate::theme::strong(format!("Site {site}"), 15.0));
    ui.add(Label::new(weak(ui, meaning(site))).wrap());
    ui.add_space(6.0);
    let p = palette(ui);
    for (name, value) in
        [("TransformerLens", site.transformer_lens()), ("Hugging Face", site.hugging_face())]
    {
        ui.label(egui::RichText::new(name).size(11.0).color(p.faint));
        ui.add(Label::new(mono(value, 12.0)).wrap());
    }
    ui.add_space(8.0);
    if button(ui, "Train an SAE here").clicked() {
        cx.send(Command::Go(Screen::Train));
    }
}

fn meaning(site: sparsescope_core::llama::Site) -> &'static str {
    use sparsescope_core::llama::Site;
    match site {
        Site::Embed => "Output of the token embedding: what the model knows of a token alone.",
        Site::Attn(_) => "What attention of this block adds to the residual stream.",
        Site::Mlp(_) => "What the MLP of this block adds to the residual stream.",
        Site::Resid(_) => "The residual stream after this block: all that later blocks can read.",
    }
}
