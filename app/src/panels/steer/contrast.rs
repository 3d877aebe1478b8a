//! Features from two prompts: what sets texts that have something apart from texts that have not.

use super::ask;
use super::prompt::field;
use super::sampling::line;
use crate::commands::SteerCommand;
use crate::context::Cx;
use crate::format;
use crate::forms::SteerForm;
use crate::jobs::Kind;
use crate::state::{Contrasted, ContrastedFeature};
use crate::theme::{self, palette};
use crate::widgets::card::{button, define, ring, titled, weak};
use crate::work::circuit::with;
use egui::{Align, ComboBox, Label, Layout, RichText, Ui};
use sparsescope_core::llama::Site;

/// Draws it.
pub(super) fn contrast(ui: &mut Ui, cx: &Cx<'_>, form: &mut SteerForm) {
    titled(ui, "From two prompts", "", |ui| {
        let said = "Texts that have it less texts that do not: a direction, and the features that \
                    it is made of.";
        ui.add(Label::new(weak(ui, said)).wrap());
        let name = if form.contrast.open { "Put away" } else { "Contrast two prompts…" };
        if button(ui, name).clicked() {
            form.contrast.open = !form.contrast.open;
        }
        if form.contrast.open {
            asked(ui, cx, form);
            if let Some(found) = &cx.state.steer.contrast {
                ui.add_space(4.0);
                answer(ui, cx, found);
            }
        }
    });
}

fn asked(ui: &mut Ui, cx: &Cx<'_>, form: &mut SteerForm) {
    let Some(facts) = &cx.state.model.facts else { return };
    let sites = with(facts, &cx.state.train.runs);
    let c = &mut form.contrast;
    field(ui, &mut c.toward, "Texts that have it, a line each", "The pilots were happy", 2);
    field(ui, &mut c.away, "Texts that do not", "The pilot was happy", 2);
    if c.site.is_none_or(|site| !sites.contains(&site)) {
        let middle = sites.iter().rev().find(|site| matches!(site, Site::Resid(_)));
        c.site = middle.or(sites.last()).copied();
    }
    line(ui, "Read at", "A site that has a dictionary.", |ui| {
        let now = c.site.map_or("no dictionary".to_owned(), |site| site.to_string());
        ui.add_enabled_ui(!sites.is_empty(), |ui| {
            ComboBox::from_id_salt("contrast site")
                .selected_text(now)
                .width(150.0)
                .show_ui(ui, |ui| {
                    for site in sites {
                        if ui.selectable_label(c.site == Some(site), site.to_string()).clicked() {
                            c.site = Some(site);
                        }
                    }
                })
                .response
        })
        .inner
    });
    ui.horizontal(|ui| {
        for (last, name, hint) in [
            (false, "all tokens", "The mean over each text's tokens, without BOS"),
            (true, "last token", "Each text's last token"),
        ] {
            let response = ui.selectable_label(c.last == last, name).on_hover_text(hint);
            if ring(ui, response).clicked() {
                c.last = last;
            }
        }
        let busy = cx.state.jobs.iter().any(|job| job.kind == Kind::Contrast);
        let ready = c.site.is_some() && !c.toward.trim().is_empty() && !c.away.trim().is_empty();
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.add_enabled_ui(ready && !busy, |ui| {
                if button(ui, "Compare").clicked() {
                    ask(cx, SteerCommand::Contrast);
                }
            });
        });
    });
}

fn answer(ui: &mut Ui, cx: &Cx<'_>, found: &Contrasted) {
    let said = format!("At {}, {} long", found.site, format::figure(found.norm));
    let response = ui.label(weak(ui, said));
    define(ui, response, "Direction", &found.definition);
    if found.found.is_empty() {
        ui.add(Label::new(weak(ui, "No feature is active on either.")).wrap());
    }
    for feature in &found.found {
        one(ui, cx, found, feature);
    }
}

fn one(ui: &mut Ui, cx: &Cx<'_>, found: &Contrasted, feature: &ContrastedFeature) {
    let p = palette(ui);
    ui.horizontal(|ui| {
        let name = feature.latent.to_string();
        let text = theme::mono(&name, 12.5).color(p.accent);
        let response = ui.add(egui::Button::new(text).frame(false));
        let response = ring(ui, response).on_hover_text("Change this feature");
        response.widget_info(|| {
            let said = format!("Change {}/{}", found.site, feature.latent);
            egui::WidgetInfo::labeled(egui::Role::Button, true, said)
        });
        if response.clicked() {
            ask(cx, SteerCommand::Add(found.sae, feature.latent));
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let figures = format!("{:+.2}  {:+.2}", feature.difference, feature.cosine);
            let response = ui.label(theme::mono(figures, 12.0));
            let definition = "The feature's mean activation on the first texts less that on the \
                              others; then the cosine of the direction and the feature's decoder \
                              direction.";
            define(ui, response, "Difference and cosine", definition);
            let label = feature.label.as_deref().unwrap_or("no label");
            let ink = if feature.label.is_some() { p.text } else { p.faint };
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                ui.add(Label::new(RichText::new(label).size(12.5).color(ink)).truncate());
            });
        });
    });
}
