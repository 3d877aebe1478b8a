//! The streams side by side: what was written, what each word owes to the edits, what it cost.

use super::STREAM;
use crate::context::Cx;
use crate::format;
use crate::state::{SteerRun, StreamView};
use crate::theme::{self, palette};
use crate::widgets::card::{card, empty, fact, sentence, weak};
use crate::widgets::icon::Icon;
use crate::widgets::stream::{StreamText, legend, stream};
use egui::{Align, Label, Layout, RichText, ScrollArea, Ui, vec2};
use sparsescope_core::steering::{End, Stream, Written};

/// Height of the figures under a text.
const FIGURES: f32 = 148.0;

/// Draws them.
pub(super) fn streams(ui: &mut Ui, cx: &Cx<'_>) {
    let Some(run) = &cx.state.steer.run else {
        let text = "Type how a text begins, add a feature by its number or label, and write. The \
                    model writes twice from the same seed: once as it is, once with the feature \
                    changed, so that whatever differs is the feature's doing.";
        empty(ui, Icon::Steer, "Nothing is written yet", text, None);
        return;
    };
    let count = run.streams.len() as f32;
    let gap = 10.0;
    let width = ((ui.available_width() - gap * (count - 1.0)) / count).min(STREAM);
    let notes = notes(run);
    let foot = 40.0 + 24.0 * notes.len() as f32;
    let height = (ui.available_height() - foot).max(240.0);
    ui.horizontal_top(|ui| {
        ui.spacing_mut().item_spacing.x = gap;
        for view in &run.streams {
            let column = Layout::top_down(Align::Min);
            ui.allocate_ui_with_layout(vec2(width, height), column, |ui| {
                ui.set_max_width(width);
                one(ui, run, view, height);
            });
        }
    });
    ui.add_space(6.0);
    let said = "Change of each token's probability by the edits, at its place";
    legend(ui, said);
    for note in notes {
        ui.add(Label::new(RichText::new(note).size(12.5).color(palette(ui).warn)).truncate());
    }
}

/// What has to be said of the run as a whole.
fn notes(run: &SteerRun) -> Vec<String> {
    let bounded = run.outcome.iter().flat_map(|outcome| &outcome.bounded);
    bounded
        .map(|b| {
            format!(
                "“{}” would overflow the model's numbers: it was bounded to “{}”.",
                b.asked, b.made
            )
        })
        .collect()
}

fn one(ui: &mut Ui, run: &SteerRun, view: &StreamView, height: f32) {
    let (name, what) = told(view.stream);
    card(ui, |ui| {
        ui.horizontal(|ui| {
            ui.label(theme::strong(name, theme::size::HEAD)).on_hover_text(what);
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                let count = format::grouped(view.written.len() as u64);
                ui.add(Label::new(weak(ui, format!("{count} tokens"))).truncate());
            });
        });
        ui.add_space(4.0);
        let room = (height - FIGURES - 74.0).max(80.0);
        ScrollArea::vertical()
            .id_salt(("stream", name))
            .min_scrolled_height(room)
            .max_height(room)
            .auto_shrink([false, false])
            .stick_to_bottom(run.running)
            .show(ui, |ui| {
                let tokens: Vec<&str> = view.written.iter().map(|w| w.text.as_str()).collect();
                let changes: Vec<Option<f64>> = view.written.iter().map(Written::change).collect();
                let shown = StreamText {
                    name,
                    prompt: &run.prompt.text,
                    tokens: &tokens,
                    changes: &changes,
                    parts_at: run.parts_at(view.stream),
                };
                stream(ui, &shown, |ui, i| hover(ui, &view.written[i]));
            });
        figures(ui, run, view);
    });
}

fn told(stream: Stream) -> (&'static str, &'static str) {
    match stream {
        Stream::Unsteered => ("Unsteered", "The model as it is"),
        Stream::Steered => (
            "Steered",
            "The model with the features changed: x' = x + Σ (f' − f) d, so what the dictionary \
             does not explain stays as it is",
        ),
        Stream::Spliced => (
            "Reconstruction",
            "The model with the whole site replaced by what the dictionary makes of it: what it \
             does not explain is dropped",
        ),
    }
}

fn hover(ui: &mut Ui, w: &Written) {
    ui.label(theme::strong(format!("{:?}", w.text), 13.0));
    let line = |ui: &mut Ui, name: &str, p: f64| {
        ui.label(theme::mono(format!("{:>7}  {name}", format::percent(p)), 12.5));
    };
    line(ui, "unsteered model", w.unsteered);
    match (w.stream, w.steered) {
        (Stream::Spliced, _) => line(ui, "with the reconstruction", w.own),
        (_, Some(steered)) => line(ui, "steered model", steered),
        _ => {}
    }
    if let Some(change) = w.change() {
        let said =
            format!("{:+.1} points of probability at position {}", 100.0 * change, w.position);
        ui.label(weak(ui, said));
    }
}

fn figures(ui: &mut Ui, run: &SteerRun, view: &StreamView) {
    let perplexity = run.perplexity(view.stream);
    let plain = run.perplexity(Stream::Unsteered);
    let n = view.written.len();
    ui.add_space(4.0);
    let shown = perplexity.map_or("–".to_owned(), format::figure);
    fact(
        ui,
        "Perplexity",
        &shown,
        &format!(
            "exp of the mean −ln p over the {n} tokens written, p from the unsteered model reading \
             this text: what the edits cost in fluency. Of one text: a sample, not a mean."
        ),
    );
    match (view.stream, perplexity, plain) {
        (Stream::Unsteered, ..) => {
            let rate = run.outcome.as_ref().map(|o| o.tokens_per_second);
            fact(
                ui,
                "Speed",
                &rate.map_or("–".to_owned(), |r| {
                    format!("{} tokens/s", format::grouped(r.round() as u64))
                }),
                "Tokens that all streams together wrote in a second, the prompt not counted; each \
                 was also read by the other streams' models",
            );
        }
        (_, Some(cost), Some(plain)) => {
            fact(
                ui,
                "against unsteered",
                &format!("× {:.2}", cost / plain),
                "This perplexity over that of the unsteered stream, both under the unsteered model",
            );
        }
        _ => fact(ui, "against unsteered", "–", ""),
    }
    let parts = match (view.stream, run.parts_at(view.stream)) {
        (Stream::Unsteered, _) => format!("{}", run.spec.sampler.seed),
        (_, Some(at)) => format!("token {}", at + 1),
        (_, None) if view.written.is_empty() => "–".to_owned(),
        _ => "nowhere".to_owned(),
    };
    let (name, definition) = match view.stream {
        Stream::Unsteered => ("Seed", "Of the draws, the same for every stream"),
        _ => ("Parts at", "The first token that differs from the unsteered stream's"),
    };
    fact(ui, name, &parts, definition);
    let end = match (&view.end, run.running) {
        (Some(end), _) => end.to_string(),
        (None, true) => "writing…".to_owned(),
        (None, false) => String::new(),
    };
    let overflow = matches!(view.end, Some(End::Overflow(_)));
    let ink = if overflow { palette(ui).warn } else { palette(ui).weak };
    if !end.is_empty() {
        ui.add(Label::new(RichText::new(sentence(&end)).size(12.0).color(ink)).wrap());
    }
}
