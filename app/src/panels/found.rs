//! What the tour found, on the first screen.
//!
//! What a person wants to know here: is the dictionary any good, do its latents hold what is true
//! of the text, does the model use them, and which ones should I read first.

use crate::commands::Command;
use crate::context::Cx;
use crate::format;
use crate::state::{Edited, Finding, Findings};
use crate::theme::{self, palette};
use crate::widgets::card::{define, figure, titled, weak};
use crate::widgets::token_strip::{Shaded, shaded};
use egui::{Label, Rect, Sense, Ui, pos2, vec2};

/// Draws what the tour found.
pub fn found(ui: &mut Ui, cx: &Cx<'_>, findings: &Findings) {
    titled(ui, "What the dictionary holds", "every figure says how it was computed", |ui| {
        let p = palette(ui);
        for line in findings.figures.chunks(4) {
            ui.columns(4, |columns| {
                for (ui, f) in columns.iter_mut().zip(line) {
                    let color = f.good.map(|good| if good { p.good } else { p.warn });
                    figure(ui, &f.name, &f.value, color, &f.definition);
                }
            });
            ui.add_space(6.0);
        }
    });
    ui.add_space(10.0);
    if !findings.edits.is_empty() {
        let note = "the dictionary's latents changed while the model runs, at the token before";
        titled(ui, "Does the model use them?", note, |ui| {
            edits(ui, &findings.edits, &findings.edits_definition);
        });
        ui.add_space(10.0);
    }
    let note = "F1 against the grammar's truth; click one to read it";
    titled(ui, "Features with a plain meaning", note, |ui| {
        for finding in &findings.features {
            feature(ui, cx, finding);
        }
    });
}

/// One line an edit: its name, the share of verbs that flip as a bar, the share of genders kept.
fn edits(ui: &mut Ui, edits: &[Edited], definition: &str) {
    let across = ui.available_width();
    let columns = [across * 0.42, across * 0.38, across * 0.20];
    let head = ["change", "verbs that take the wrong number", "pronouns that keep their gender"];
    let line = |ui: &mut Ui, cells: [&mut dyn FnMut(&mut Ui); 3]| {
        ui.horizontal(|ui| {
            ui.spacing_mut().item_spacing.x = 0.0;
            for (cell, width) in cells.into_iter().zip(columns) {
                ui.allocate_ui(vec2(width, 26.0), |ui| {
                    ui.set_width(width);
                    ui.set_height(26.0);
                    ui.horizontal_centered(|ui| cell(ui));
                });
            }
        })
        .response
    };
    let title = |ui: &mut Ui, text: &str| {
        let label = Label::new(weak(ui, text)).truncate().selectable(false);
        ui.add(label);
    };
    let heads = line(
        ui,
        [&mut |ui| title(ui, head[0]), &mut |ui| title(ui, head[1]), &mut |ui| title(ui, head[2])],
    );
    define(ui, heads, "How this was computed", definition);
    for edit in edits {
        let response = line(
            ui,
            [
                &mut |ui| {
                    let name = theme::strong(edit.name.as_str(), 13.5);
                    ui.add(Label::new(name).truncate().selectable(false));
                },
                &mut |ui| share(ui, edit.flipped),
                &mut |ui| {
                    ui.label(theme::mono(format::percent(edit.kept), 13.0));
                },
            ],
        );
        define(ui, response, &edit.name, &edit.definition);
    }
}

/// A share as a bar with its figure at the right.
fn share(ui: &mut Ui, share: f64) {
    let p = palette(ui);
    let (rect, _) =
        ui.allocate_exact_size(vec2((ui.available_width() - 90.0).max(20.0), 10.0), Sense::hover());
    ui.painter().rect_filled(rect, 3.0, p.well);
    let full = rect.width() * share.clamp(0.0, 1.0) as f32;
    let bar = Rect::from_min_max(rect.min, pos2(rect.min.x + full, rect.max.y));
    ui.painter().rect_filled(bar, 3.0, p.accent);
    ui.add_space(8.0);
    ui.label(theme::mono(format::percent(share), 13.0));
}

fn feature(ui: &mut Ui, cx: &Cx<'_>, finding: &Finding) {
    let p = palette(ui);
    ui.horizontal(|ui| {
        ui.set_height(30.0);
        let text = theme::mono(format!("{:>5}", finding.latent), 13.0);
        let name = format!("Read latent {}", finding.latent);
        let open = ui.link(text).accessible_name(name);
        let (meaning_width, strip) = (ui.available_width() * 0.36, ui.available_width() * 0.44);
        ui.allocate_ui(vec2(meaning_width, 24.0), |ui| {
            ui.set_width(meaning_width);
            ui.add(Label::new(theme::strong(finding.meaning.as_str(), 13.5)).truncate());
        });
        ui.label(theme::mono(format!("F1 {:.2}", finding.f1), 12.5).color(p.weak));
        if let Some(context) = &finding.example {
            ui.allocate_ui(vec2(strip, 22.0), |ui| {
                ui.set_max_width(ui.available_width().min(strip + 60.0));
                let (from, to) = window(context.tokens.len(), context.peak, 9);
                let full = context.activations.iter().copied().fold(0.0, f32::max);
                shaded(
                    ui,
                    &Shaded {
                        next: &[],
                        tokens: &context.tokens[from..to],
                        activations: context.activations.get(from..to).unwrap_or(&[]),
                        full,
                        peak: None,
                        lines: 1,
                    },
                );
            });
        }
        if open.on_hover_text(format!("F1 {}", format::figure(finding.f1))).clicked() {
            cx.send(Command::Finding(finding.latent));
        }
    });
}

/// A window of tokens around `peak`, most of it before.
fn window(len: usize, peak: usize, most: usize) -> (usize, usize) {
    let from = peak.saturating_sub(most * 2 / 3).min(len.saturating_sub(most));
    (from, (from + most).min(len))
}
