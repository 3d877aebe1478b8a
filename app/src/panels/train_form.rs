//! The inspector of the training screen: every setting of a run, and the button that begins it.

use crate::commands::Command;
use crate::context::Cx;
use crate::format;
use crate::forms::{ARCHITECTURES, DataForm, TrainForm};
use crate::state::Screen;
use crate::theme::{self, palette};
use crate::widgets::card::{primary, weak};
use egui::{CollapsingHeader, ComboBox, DragValue, Label, Slider, Ui};
use sparsescope_core::llama::Site;

/// Draws the settings.
pub fn settings(ui: &mut Ui, cx: &Cx<'_>, form: &mut TrainForm, data: &DataForm) {
    ui.spacing_mut().item_spacing.y = 7.0;
    ui.label(theme::strong("New run", 16.0));
    site(ui, cx);
    corpus(ui, cx, data);
    architecture(ui, form);
    numbers(ui, form);
    advanced(ui, form);
    form.follow_preset();
    ui.add_space(4.0);
    memory(ui, cx, form);
    let blocked = blocked(cx, data);
    let response = primary(ui, "Train", blocked.is_none());
    if response.clicked()
        && let Some(corpus) = data.corpus()
    {
        cx.send(Command::Train { corpus, rows: data.rows, config: form.config.clone() });
    }
    if let Some(why) = blocked {
        ui.add(Label::new(weak(ui, why)).wrap());
    }
}

fn blocked(cx: &Cx<'_>, data: &DataForm) -> Option<&'static str> {
    let state = cx.state;
    if state.model.facts.is_none() {
        return Some("Open a model first.");
    }
    if state.model.site.is_none() {
        return Some("Choose a site first.");
    }
    if data.corpus().is_none() {
        return Some("Choose a corpus on the Data screen first.");
    }
    if state.train.job.is_some() {
        return Some("A run is under way: stop it, or let it end.");
    }
    None
}

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

fn site(ui: &mut Ui, cx: &Cx<'_>) {
    let Some(facts) = &cx.state.model.facts else {
        ui.label(weak(ui, "No model is open."));
        return;
    };
    line(ui, "Site", "The place in the model whose output the SAE learns.", |ui| {
        let now = cx.state.model.site.map_or("choose…".to_owned(), |s| s.to_string());
        ComboBox::new("site", "")
            .selected_text(theme::mono(now, 13.0))
            .width(130.0)
            .show_ui(ui, |ui| {
                for site in Site::all(facts.layers) {
                    let chosen = cx.state.model.site == Some(site);
                    let text = theme::mono(site.to_string(), 13.0);
                    if ui.selectable_label(chosen, text).clicked() {
                        cx.send(Command::Choose(site));
                    }
                }
            })
            .response
            .accessible_name("Site")
    });
}

fn corpus(ui: &mut Ui, cx: &Cx<'_>, data: &DataForm) {
    line(ui, "Corpus", "Set on the Data screen.", |ui| {
        let name = data.corpus().map_or("choose…".to_owned(), |c| {
            let text = c.to_string();
            text.rsplit('/').next().unwrap_or(&text).to_owned()
        });
        let response = ui.link(name);
        if response.clicked() {
            cx.send(Command::Go(Screen::Data));
        }
        response
    });
}

fn architecture(ui: &mut Ui, form: &mut TrainForm) {
    ui.add_space(2.0);
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing.x = 4.0;
        ui.spacing_mut().button_padding.x = 8.0;
        for (key, name, what) in ARCHITECTURES {
            let text = egui::RichText::new(name).size(13.0);
            if ui.selectable_label(form.architecture == key, text).on_hover_text(what).clicked() {
                form.architecture = key;
            }
        }
    });
}

fn numbers(ui: &mut Ui, form: &mut TrainForm) {
    line(ui, "Latents", "Size m of the dictionary; 4 to 32 times the width is usual.", |ui| {
        ui.add(DragValue::new(&mut form.config.latents).range(1..=1_048_576).speed(8.0))
    });
    if form.architecture == "topk" {
        let most = form.config.latents.max(1);
        line(ui, "k", "Latents kept a token.", |ui| {
            ui.add(DragValue::new(&mut form.k).range(1..=most).speed(0.1))
        });
    } else {
        line(ui, "L1 coefficient", "Weight of the sparsity penalty: greater is sparser.", |ui| {
            ui.add(
                DragValue::new(&mut form.config.l1).range(0.0..=1e4).speed(0.001).max_decimals(6),
            )
        });
    }
    line(ui, "Tokens", "Tokens to train on in all.", |ui| {
        let mut thousands = form.config.tokens.div_ceil(1000);
        let drag = DragValue::new(&mut thousands).range(1..=100_000_000).speed(10.0).suffix(" k");
        let response = ui.add(drag);
        if response.changed() {
            form.config.tokens = thousands * 1000;
        }
        response
    });
    line(ui, "Batch", "Tokens a step.", |ui| {
        ui.add(DragValue::new(&mut form.config.batch).range(1..=65_536).speed(8.0))
    });
}

fn advanced(ui: &mut Ui, form: &mut TrainForm) {
    let p = palette(ui);
    let head = egui::RichText::new("Advanced").size(13.0).color(p.weak);
    CollapsingHeader::new(head).id_salt("advanced").show_unindented(ui, |ui| {
        line(
            ui,
            "Learning rate",
            "Peak rate of Adam. Follows the size of the dictionary until it is set by hand.",
            |ui| {
                let drag = DragValue::new(&mut form.config.lr)
                    .range(1e-8..=1.0)
                    .speed(1e-5)
                    .max_decimals(7);
                let response = ui.add(drag);
                form.lr_by_hand |= response.changed();
                response
            },
        );
        line(ui, "Schedule", "How the rate moves after the warm-up.", |ui| {
            let now = form.schedule();
            ComboBox::new("schedule", "")
                .selected_text(TrainForm::SCHEDULES[now])
                .width(150.0)
                .show_ui(ui, |ui| {
                    for (i, name) in TrainForm::SCHEDULES.into_iter().enumerate() {
                        if ui.selectable_label(i == now, name).clicked() {
                            form.set_schedule(i);
                        }
                    }
                })
                .response
                .accessible_name("Schedule")
        });
        let c = &mut form.config;
        line(ui, "Warm-up", "Steps of linear learning-rate warm-up.", |ui| {
            ui.add(DragValue::new(&mut c.warmup_steps).range(0..=1_000_000).suffix(" steps"))
        });
        if form.architecture == "topk" {
            line(
                ui,
                "Auxiliary loss",
                "Weight of the loss that revives dead latents; 0 switches it off.",
                |ui| {
                    ui.add(
                        DragValue::new(&mut c.aux_weight)
                            .range(0.0..=10.0)
                            .speed(0.001)
                            .max_decimals(5),
                    )
                },
            );
        } else {
            line(
                ui,
                "Sparsity warm-up",
                "Steps over which the penalty grows to its full size.",
                |ui| {
                    ui.add(
                        DragValue::new(&mut c.sparsity_warmup_steps)
                            .range(0..=1_000_000)
                            .suffix(" steps"),
                    )
                },
            );
        }
        line(
            ui,
            "Dead after",
            "Tokens without firing after which a latent counts as dead.",
            |ui| ui.add(DragValue::new(&mut c.dead_after).range(1..=1_000_000_000).speed(1000.0)),
        );
        line(
            ui,
            "Checkpoint every",
            "Tokens between checkpoints; 0 for none but the last.",
            |ui| {
                ui.add(
                    DragValue::new(&mut c.checkpoint_every).range(0..=1_000_000_000).speed(1000.0),
                )
            },
        );
        line(
            ui,
            "Measure every",
            "Tokens between measurements of loss recovered; 0 for none.",
            |ui| {
                ui.add(DragValue::new(&mut c.evaluate_every).range(0..=1_000_000_000).speed(1000.0))
            },
        );
        line(
            ui,
            "Seed",
            "Of the weights and the order of the data: the same seed gives the same bits.",
            |ui| ui.add(DragValue::new(&mut c.seed)),
        );
        ui.checkbox(&mut c.normalize, "Scale activations to E‖x‖² = d")
            .on_hover_text("While training; folded back into the weights on saving.");
        let mut clip = c.clip.is_some();
        ui.horizontal(|ui| {
            ui.checkbox(&mut clip, "Clip the gradient's norm");
            let mut at = c.clip.unwrap_or(1.0);
            if clip {
                ui.add(Slider::new(&mut at, 0.1..=10.0).logarithmic(true).show_value(true))
                    .accessible_name("Greatest norm of the gradient");
            }
            c.clip = clip.then_some(at);
        });
    });
}

fn memory(ui: &mut Ui, cx: &Cx<'_>, form: &TrainForm) {
    let Some(facts) = &cx.state.model.facts else { return };
    let need = sparsescope_core::training::memory_needed(&form.config, facts.width)
        .saturating_add(facts.weight_bytes);
    crate::widgets::card::fact(
        ui,
        "Memory needed",
        &format::bytes(need),
        "An estimate: the model's weights, the dictionary with its gradients and both moments of \
         Adam, one batch and the shuffle buffer. A run that cannot fit is refused with the numbers.",
    );
}
