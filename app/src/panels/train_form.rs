//! The inspector of the training screen: every setting of a run, and the button that begins it.

use crate::commands::Command;
use crate::context::Cx;
use crate::format;
use crate::forms::{ARCHITECTURES, DataForm, TrainForm};
use crate::panels;
use crate::state::Screen;
use crate::theme::{self, palette};
use crate::widgets::card::{primary, weak};
use egui::{CollapsingHeader, ComboBox, DragValue, Label, Slider, Ui};
use sparsescope_core::llama::Site;
use sparsescope_core::sae::{Architecture, L0Loss};
use sparsescope_core::training::{BiasStart, KAnneal, PRESETS, TrainConfig, usual_resample};

/// Draws the settings.
pub fn settings(ui: &mut Ui, cx: &Cx<'_>, form: &mut TrainForm, data: &DataForm) {
    ui.spacing_mut().item_spacing.y = 7.0;
    ui.horizontal(|ui| {
        for (sweep, name, what) in [
            (false, "One run", "One SAE, with every setting."),
            (true, "Sweep", "Several SAEs on one pass: sites × architectures × L0s."),
        ] {
            let text = theme::strong(name, 15.0);
            if ui.selectable_label(form.sweep == sweep, text).on_hover_text(what).clicked() {
                form.sweep = sweep;
            }
        }
    });
    if form.sweep {
        sweep(ui, cx, form, data);
        return;
    }
    site(ui, cx);
    corpus(ui, cx, data);
    presets(ui, form);
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
        cx.send(Command::Train { corpus, rows: data.rows, config: Box::new(form.config.clone()) });
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

fn sweep(ui: &mut Ui, cx: &Cx<'_>, form: &mut TrainForm, data: &DataForm) {
    corpus(ui, cx, data);
    panels::sweep::choices(ui, cx, form);
    sizes(ui, form);
    advanced(ui, form);
    ui.add_space(4.0);
    let request = panels::sweep::request(cx, form, data);
    if let (Ok(request), Some(facts)) = (&request, &cx.state.model.facts) {
        let need = request.spec.memory(facts.width).saturating_add(facts.weight_bytes);
        crate::widgets::card::fact(
            ui,
            "Memory needed",
            &format::bytes(need),
            "An estimate: the model's weights and every dictionary with its gradients and both \
             moments of Adam. A sweep that cannot fit is refused with the numbers.",
        );
    }
    let busy = cx.state.train.job.is_some();
    let text = match &request {
        Ok(request) if request.spec.count() != 1 => format!("Train {} SAEs", request.spec.count()),
        _ => "Train".to_owned(),
    };
    let pressed = primary(ui, &text, request.is_ok() && !busy).clicked();
    match request {
        Ok(request) if pressed => cx.send(Command::Sweep(Box::new(request))),
        Ok(_) if busy => {
            let said = weak(ui, "A run is under way: stop it, or let it end.");
            ui.add(Label::new(said).wrap());
        }
        Ok(_) => {}
        Err(why) => {
            let said = weak(ui, why);
            ui.add(Label::new(said).wrap());
        }
    }
}

/// The published settings of a source, to begin from.
fn presets(ui: &mut Ui, form: &mut TrainForm) {
    line(ui, "Settings of", "The published settings of a source, to begin from.", |ui| {
        ComboBox::new("preset", "")
            .selected_text(form.preset.unwrap_or("Sparsescope"))
            .width(170.0)
            .show_ui(ui, |ui| {
                if ui.selectable_label(form.preset.is_none(), "Sparsescope").clicked() {
                    form.lr_by_hand = false;
                    form.preset = None;
                }
                for preset in &PRESETS {
                    let what = format!("{}. Not taken over: {}.", preset.source, preset.not_taken);
                    let chosen = form.preset == Some(preset.name);
                    let response = ui.selectable_label(chosen, preset.name).on_hover_text(what);
                    if response.clicked() {
                        form.take(preset);
                    }
                }
            })
            .response
            .accessible_name("Preset")
    });
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
    if form.config.architecture.k().is_some() {
        let most = form.config.latents.max(1);
        line(ui, "k", "Latents kept a token; of a batch, on the mean.", |ui| {
            ui.add(DragValue::new(&mut form.k).range(1..=most).speed(0.1))
        });
        anneal(ui, form);
    } else {
        line(
            ui,
            "Sparsity coefficient",
            "Weight of the sparsity penalty: greater is sparser.",
            |ui| {
                let drag = DragValue::new(&mut form.config.l1).range(0.0..=1e4);
                ui.add(drag.speed(0.001).max_decimals(6))
            },
        );
    }
    own(ui, form);
    sizes(ui, form);
}

/// The numbers that only the chosen architecture has.
fn own(ui: &mut Ui, form: &mut TrainForm) {
    let latents = form.config.latents as f64;
    match &mut form.config.architecture {
        Architecture::JumpRelu { loss: L0Loss::Quadratic { target }, bandwidth: _ } => {
            line(ui, "L0 target", "Active latents a token that the penalty goes to.", |ui| {
                ui.add(DragValue::new(target).range(0.1..=latents).speed(0.1))
            });
            return;
        }
        Architecture::JumpRelu { bandwidth, .. } => {
            line(
                ui,
                "Bandwidth",
                "Width of the window around a threshold in which it feels a gradient, in units of \
                 the scaled activations.",
                |ui| ui.add(DragValue::new(bandwidth).range(1e-4..=10.0).speed(0.001)),
            );
        }
        Architecture::PAnneal { p_end, .. } => {
            line(ui, "p at the end", "The power that p falls to over the run.", |ui| {
                ui.add(DragValue::new(p_end).range(0.0..=1.0).speed(0.01))
            });
        }
        _ => {}
    }
    if form.config.architecture.k().is_some() {
        return;
    }
    let target = &mut form.config.target_l0;
    let mut on = target.is_some();
    ui.horizontal(|ui| {
        ui.checkbox(&mut on, "Follow an L0").on_hover_text(
            "The coefficient follows the L0 of the batches until three quarters of the run, so \
             that the run ends near this L0.",
        );
        let mut at = target.unwrap_or(16.0);
        if on {
            ui.add(DragValue::new(&mut at).range(0.1..=latents).speed(0.1));
        }
        *target = on.then_some(at);
    });
}

/// k that falls from a greater one.
fn anneal(ui: &mut Ui, form: &mut TrainForm) {
    let (latents, k, steps) = (form.config.latents, form.k, form.config.steps());
    let anneal = &mut form.config.k_anneal;
    let mut on = anneal.is_some();
    ui.horizontal(|ui| {
        ui.checkbox(&mut on, "k falls from")
            .on_hover_text("Begins with more latents a token, and falls linearly to k.");
        let mut now = anneal.unwrap_or(KAnneal { from: (8 * k).min(latents), steps: steps / 10 });
        if on {
            ui.add(DragValue::new(&mut now.from).range(k..=latents.max(k)));
            ui.label(weak(ui, "over"));
            ui.add(DragValue::new(&mut now.steps).range(1..=1_000_000).suffix(" steps"));
        }
        *anneal = on.then_some(now);
    });
}

fn sizes(ui: &mut Ui, form: &mut TrainForm) {
    line(ui, "Latents", "Size m of the dictionary; 4 to 32 times the width is usual.", |ui| {
        ui.add(DragValue::new(&mut form.config.latents).range(1..=1_048_576).speed(8.0))
    });
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
        if c.architecture.k().is_some() {
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
        resampling(ui, c);
        average(ui, c);
        start(ui, c);
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

fn resampling(ui: &mut Ui, c: &mut TrainConfig) {
    let mut on = c.resample.is_some();
    ui.horizontal(|ui| {
        ui.checkbox(&mut on, "Resample dead latents").on_hover_text(
            "Every so many steps, each dead latent gets the direction of a token that is \
             reconstructed badly (drawn with probability ∝ loss²), and starts afresh \
             (Bricken et al. 2023).",
        );
        let mut now = c.resample.unwrap_or_else(|| usual_resample(c));
        if on {
            ui.label(weak(ui, "every"));
            ui.add(DragValue::new(&mut now.every).range(1..=10_000_000));
        }
        c.resample = on.then_some(now);
    });
}

fn average(ui: &mut Ui, c: &mut TrainConfig) {
    let mut on = c.ema.is_some();
    ui.horizontal(|ui| {
        ui.checkbox(&mut on, "Average the weights").on_hover_text(
            "Saves the moving average of the weights in their place, with this decay a step.",
        );
        let mut at = c.ema.unwrap_or(0.999);
        if on {
            ui.add(DragValue::new(&mut at).range(0.0..=0.99999).speed(0.0001).max_decimals(5));
        }
        c.ema = on.then_some(at);
    });
}

fn start(ui: &mut Ui, c: &mut TrainConfig) {
    line(
        ui,
        "Decoder bias begins",
        "At 0, or at the mean or the geometric median of the first batch.",
        |ui| {
            let names = [
                (None, "as usual"),
                (Some(BiasStart::Zero), "at 0"),
                (Some(BiasStart::Mean), "at the mean"),
                (Some(BiasStart::GeometricMedian), "at the median"),
            ];
            let now = names.iter().find(|n| n.0 == c.start.bias).map_or("as usual", |n| n.1);
            ComboBox::new("bias start", "")
                .selected_text(now)
                .width(120.0)
                .show_ui(ui, |ui| {
                    for (choice, name) in names {
                        ui.selectable_value(&mut c.start.bias, choice, name);
                    }
                })
                .response
                .accessible_name("Where the decoder bias begins")
        },
    );
    let mut tied = !c.start.untied;
    ui.checkbox(&mut tied, "Encoder begins as the decoder's transpose")
        .on_hover_text("Tied at the start only; without it encoder rows are drawn apart.");
    c.start.untied = !tied;
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
