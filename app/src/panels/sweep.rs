//! A sweep: its form in the inspector, and how far each of its dictionaries is.
//!
//! What a person wants to know here: how many will be trained and does that fit, which are on
//! their way to the L0 they were asked for, which cannot reach it and what they can.

use crate::commands::Command;
use crate::context::Cx;
use crate::format;
use crate::forms::{ARCHITECTURES, DataForm, TrainForm};
use crate::state::{SweepLine, SweepView};
use crate::theme::{self, palette};
use crate::widgets::card::{titled, weak};
use crate::widgets::marker::{self, mark_of};
use crate::work::sweep::SweepRequest;
use egui::{Align2, FontId, Label, RichText, Role, Sense, TextEdit, Ui, WidgetInfo, pos2, vec2};
use sparsescope_core::activations::StreamSpec;
use sparsescope_core::llama::Site;
use sparsescope_core::training::SweepSpec;

/// Sites, architectures and L0s.
pub fn choices(ui: &mut Ui, cx: &Cx<'_>, form: &mut TrainForm) {
    let Some(facts) = &cx.state.model.facts else { return };
    form.sites.retain(|site| site.within(facts.layers).is_ok());
    if form.sites.is_empty() {
        form.sites.extend(cx.state.model.site);
    }
    ui.label(weak(ui, "Sites")).on_hover_text("All are read in one pass of the model.");
    chips(
        ui,
        Site::all(facts.layers).into_iter().map(|site| (site, site.to_string(), "")),
        |site| {
            let chosen = form.sites.contains(&site);
            (chosen, move |form: &mut TrainForm| {
                if !form.sites.remove(&site) {
                    form.sites.insert(site);
                }
            })
        },
    )
    .into_iter()
    .for_each(|change| change(form));
    ui.label(weak(ui, "Architectures"));
    let all = ARCHITECTURES.iter().map(|(key, name, what)| (*key, (*name).to_owned(), *what));
    chips(ui, all, |key| {
        let chosen = form.architectures.contains(key);
        (chosen, move |form: &mut TrainForm| {
            if !form.architectures.remove(key) {
                form.architectures.insert(key);
            }
        })
    })
    .into_iter()
    .for_each(|change| change(form));
    let bad = form.l0s().is_none();
    ui.horizontal(|ui| {
        let label = ui.add(Label::new(weak(ui, "L0s")).selectable(false)).on_hover_text(
            "Mean numbers of active latents a token. Where an architecture keeps k, k is the L0; \
             where it has a penalty, short probes find the coefficient, which then follows its L0.",
        );
        let mut edit = TextEdit::singleline(&mut form.targets).hint_text("8, 16, 32");
        if bad {
            edit = edit.text_color(palette(ui).bad);
        }
        ui.add(edit.desired_width(f32::INFINITY)).labelled_by(label.id);
    });
}

/// Small buttons in rows, each on or off; gives back what the clicked ones do.
fn chips<T: Copy, C>(
    ui: &mut Ui,
    all: impl Iterator<Item = (T, String, &'static str)>,
    of: impl Fn(T) -> (bool, C),
) -> Vec<C> {
    let mut changes = Vec::new();
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing = vec2(4.0, 4.0);
        ui.spacing_mut().button_padding.x = 7.0;
        for (value, name, what) in all {
            let (chosen, change) = of(value);
            let response = ui.selectable_label(chosen, RichText::new(name).size(12.5));
            let response = if what.is_empty() { response } else { response.on_hover_text(what) };
            if response.clicked() {
                changes.push(change);
            }
        }
    });
    changes
}

/// The sweep that the form describes, if it does.
pub fn request(
    cx: &Cx<'_>,
    form: &TrainForm,
    data: &DataForm,
) -> Result<SweepRequest, &'static str> {
    let facts = cx.state.model.facts.as_ref().ok_or("Open a model first.")?;
    let corpus = data.corpus().ok_or("Choose a corpus on the Data screen first.")?;
    let targets = form.l0s().ok_or("Write the L0s as numbers with commas: 8, 16, 32.")?;
    let configs = form.sweep_configs();
    let sites: Vec<Site> = form.sites.iter().copied().collect();
    let first = sites.first().copied().ok_or("Choose a site.")?;
    if configs.is_empty() {
        return Err("Choose an architecture.");
    }
    let probe_tokens = SweepSpec::usual_probe(&configs);
    let stream = StreamSpec {
        seed: form.config.seed,
        ..StreamSpec::new(first, corpus, data.rows, facts.width)
    };
    let spec = SweepSpec { sites: sites.len(), configs, targets, probe_tokens };
    Ok(SweepRequest { sites, stream, spec })
}

/// How far each dictionary of the sweep is.
pub fn list(ui: &mut Ui, cx: &Cx<'_>, sweep: &SweepView) {
    if sweep.planning {
        titled(ui, "Looking for coefficients", "", |ui| {
            ui.add(
                Label::new(weak(
                    ui,
                    "Short runs over a range of coefficients, all on the same rows, find what leads \
                     to each L0. Architectures with a k need none.",
                ))
                .wrap(),
            );
        });
        ui.add_space(10.0);
        return;
    }
    let note = format!("{} on one pass", sweep.lines.len());
    titled(ui, "Sweep", &note, |ui| {
        ui.spacing_mut().item_spacing.y = 1.0;
        for one in &sweep.lines {
            line(ui, cx, one);
        }
        let p = palette(ui);
        for refused in &sweep.refused {
            let text = RichText::new(refused.to_string()).size(12.5).color(p.warn);
            ui.add(Label::new(text).wrap());
        }
    });
    ui.add_space(10.0);
}

fn line(ui: &mut Ui, cx: &Cx<'_>, one: &SweepLine) {
    let p = palette(ui);
    let record = &one.record;
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 24.0), Sense::click());
    let said = format!("{} on {}, L0 {}", record.architecture, record.site, one.target);
    response.widget_info(|| WidgetInfo::labeled(Role::Button, true, &said));
    let shown = cx.state.train.run.as_ref().is_some_and(|r| r.id == Some(record.id));
    if shown || response.hovered() || response.has_focus() {
        ui.painter().rect_filled(rect, 6.0, p.hover);
    }
    let y = rect.center().y;
    let mark = mark_of(&record.architecture, p);
    marker::draw(ui.painter(), pos2(rect.min.x + 10.0, y), mark, 5.0, p.card);
    let text = |share: f32, align: Align2, text: String, mono: bool, ink| {
        let font = if mono { FontId::monospace(12.0) } else { FontId::proportional(13.0) };
        ui.painter().text(pos2(rect.min.x + share * rect.width(), y), align, text, font, ink);
    };
    let name = format!("{} on {}", record.architecture, record.site);
    ui.painter().text(
        pos2(rect.min.x + 22.0, y),
        Align2::LEFT_CENTER,
        name,
        FontId::new(13.0, theme::strong_family()),
        p.text,
    );
    let right = Align2::RIGHT_CENTER;
    if let Some(point) = &one.curves.last {
        let near = (point.l0.max(1e-9) / one.target).ln().abs() < 0.15;
        let ink = if near { p.text } else { p.weak };
        text(0.56, right, format!("L0 {} → {}", format::figure(point.l0), one.target), true, ink);
        text(0.72, right, format!("FVU {}", format::figure(point.fvu)), true, p.text);
        text(0.88, right, format!("dead {}", format::percent(point.dead)), true, p.weak);
        let done = point.tokens as f64 / record.tokens_total.max(1) as f64;
        text(0.99, right, format!("{:.0} %", 100.0 * done.min(1.0)), true, p.weak);
    } else {
        text(0.56, right, format!("L0 – → {}", one.target), true, p.weak);
    }
    if response.on_hover_text("Show its curves").clicked() {
        cx.send(Command::ShowRun(record.id));
    }
}
