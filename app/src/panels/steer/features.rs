//! The features that are changed, and where more are found.

use super::ask;
use crate::commands::SteerCommand;
use crate::context::Cx;
use crate::format;
use crate::forms::{Mode, Place, SteerForm, SteerRow};
use crate::state::{KnownFeature, Suggestion};
use crate::theme::{self, palette};
use crate::widgets::card::{icon_button, ring, titled, weak};
use crate::widgets::icon::Icon;
use crate::widgets::typing::rested;
use crate::work::circuit::with;
use egui::{
    Align, Checkbox, ComboBox, DragValue, Frame, Label, Layout, Margin, RichText, Slider, TextEdit,
    Ui,
};

/// Seconds without typing after which features are looked for.
const DEBOUNCE: f64 = 0.2;
/// Greatest strength of the slider, in maxima; more can be typed.
const MOST: f32 = 5.0;
/// Greatest strength that can be typed.
const TYPED: f32 = 1000.0;

/// Draws them.
pub(super) fn features(ui: &mut Ui, cx: &Cx<'_>, form: &mut SteerForm) {
    let on = form.rows.iter().filter(|row| row.on).count();
    let note = match on {
        0 => String::new(),
        1 => "1 changed".to_owned(),
        n => format!("{n} changed"),
    };
    titled(ui, "Features", &note, |ui| {
        if form.rows.is_empty() {
            let said = "Nothing is changed yet. Look for a feature below, or press “Steer with it” \
                        where a feature is shown.";
            ui.add(Label::new(weak(ui, said)).wrap());
        }
        let mut removed = None;
        for i in 0..form.rows.len() {
            if row(ui, cx, &mut form.rows[i], i) {
                removed = Some(i);
            }
            ui.add_space(4.0);
        }
        if let Some(i) = removed {
            form.rows.remove(i);
        }
        search(ui, cx, form);
        splice(ui, cx, form);
    });
}

/// A feature; true when it is to be let go.
fn row(ui: &mut Ui, cx: &Cx<'_>, row: &mut SteerRow, i: usize) -> bool {
    let p = palette(ui);
    let known = cx.state.steer.known.get(&(row.sae, row.latent));
    let mut gone = false;
    Frame::new()
        .fill(p.well)
        .stroke(egui::Stroke::new(1.0, p.line))
        .corner_radius(8)
        .inner_margin(Margin::symmetric(10, 8))
        .show(ui, |ui| {
            ui.set_width(ui.available_width());
            let name = format!("{}/{}", row.site, row.latent);
            ui.horizontal(|ui| {
                ui.spacing_mut().interact_size.x = 18.0;
                ui.add(Checkbox::without_text(&mut row.on))
                    .on_hover_text("Whether it is changed")
                    .accessible_name(format!("Change {name}"));
                let text = theme::mono(&name, 13.0).color(p.accent);
                let response = ui.add(egui::Button::new(text).frame(false));
                if ring(ui, response).on_hover_text("Read this feature").clicked() {
                    ask(cx, SteerCommand::Show(row.sae, row.latent));
                }
                ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                    gone = icon_button(ui, Icon::Close, &format!("Let {name} go")).clicked();
                });
            });
            if let Some(label) = known.and_then(|k| k.label.as_ref()) {
                ui.add(Label::new(RichText::new(label).size(13.0)).truncate());
            }
            ui.add_enabled_ui(row.on, |ui| {
                strength(ui, row, known, i);
                place(ui, row, i);
            });
        });
    gone
}

fn strength(ui: &mut Ui, row: &mut SteerRow, known: Option<&KnownFeature>, i: usize) {
    ui.horizontal(|ui| {
        ComboBox::from_id_salt(("mode", i))
            .selected_text(row.mode.name())
            .width(84.0)
            .show_ui(ui, |ui| {
                for (mode, name, hint) in Mode::ALL {
                    if ui.selectable_label(row.mode == mode, name).on_hover_text(hint).clicked() {
                        row.mode = mode;
                    }
                }
            })
            .response
            .accessible_name(format!("What happens to latent {}", row.latent));
        if row.mode == Mode::Ablate {
            ui.label(weak(ui, "f' = 0"));
            return;
        }
        let ready = !row.mode.in_maxima() || known.is_some_and(|k| k.max > 0.0);
        ui.add_enabled_ui(ready, |ui| {
            ui.spacing_mut().slider_width = (ui.available_width() - 106.0).max(40.0);
            // The slider spans what is usual; whatever is typed stays as it is.
            let most = MOST.max(row.strength.abs());
            let slider = Slider::new(&mut row.strength, -most..=most).show_value(false);
            ui.add(slider).accessible_name(format!("Strength of latent {}", row.latent));
            ui.add(
                DragValue::new(&mut row.strength)
                    .range(-TYPED..=TYPED)
                    .speed(0.05)
                    .max_decimals(2)
                    .suffix(if row.mode.in_maxima() { " max" } else { " ×" }),
            );
        });
    });
    if !row.mode.in_maxima() {
        return;
    }
    match known {
        None => {
            ui.label(weak(ui, "Measuring how strong it can be…"));
        }
        Some(k) if k.max <= 0.0 => {
            ui.add(Label::new(weak(ui, "It never fired where that was looked for: scale or ablate it, or take another.")).wrap())
                .on_hover_text(&k.definition);
        }
        Some(k) => {
            let value = format::figure(f64::from(row.strength * k.max));
            let said = format!(
                "= {value}, at a greatest activation of {}",
                format::figure(f64::from(k.max))
            );
            ui.add(Label::new(weak(ui, said)).truncate()).on_hover_text(&k.definition);
        }
    }
}

fn place(ui: &mut Ui, row: &mut SteerRow, i: usize) {
    ui.horizontal(|ui| {
        let now = match &row.place {
            Place::All => "all tokens".to_owned(),
            Place::Generated => "written tokens only".to_owned(),
            Place::Range(..) => "tokens".to_owned(),
            Place::Other(positions) => format!("tokens {positions}"),
        };
        ComboBox::from_id_salt(("place", i))
            .selected_text(now)
            .width(160.0)
            .show_ui(ui, |ui| {
                let all = [
                    (Place::All, "all tokens", "The prompt's and those that are written"),
                    (Place::Generated, "written tokens only", "Not the prompt's"),
                    (Place::Range(1, 4), "tokens from … to …", "Counted from 0, with BOS"),
                ];
                for (place, name, hint) in all {
                    let same = std::mem::discriminant(&row.place) == std::mem::discriminant(&place);
                    if ui.selectable_label(same, name).on_hover_text(hint).clicked() && !same {
                        row.place = place;
                    }
                }
            })
            .response
            .accessible_name(format!("Where latent {} is changed", row.latent));
        if let Place::Range(first, last) = &mut row.place {
            ui.add(DragValue::new(first).range(0..=100_000));
            ui.label(weak(ui, "to"));
            ui.add(DragValue::new(last).range(*first..=100_000));
        }
    });
}

fn search(ui: &mut Ui, cx: &Cx<'_>, form: &mut SteerForm) {
    let label = ui.label(weak(ui, "Add a feature"));
    let edit = TextEdit::singleline(&mut form.search)
        .hint_text("words of its label, or resid.2/41")
        .desired_width(f32::INFINITY)
        .margin(Margin::symmetric(8, 6));
    let response = ui.add(edit).labelled_by(label.id);
    let response = ring(ui, response);
    if response.changed() {
        form.changed = Some(ui.input(|i| i.time));
    }
    if rested(ui, &mut form.changed, DEBOUNCE) {
        ask(cx, SteerCommand::Look(form.search.clone()));
    }
    if form.search.trim().is_empty() {
        return;
    }
    let Some(found) = &cx.state.steer.suggestions else { return };
    if found.found.is_empty() && found.text == form.search {
        let said = "No feature fits. There must be a dictionary for the site, trained on this \
                    model; words are looked for in labels.";
        ui.add(Label::new(weak(ui, said)).wrap());
    }
    let mut chosen = None;
    for suggestion in &found.found {
        if suggested(ui, suggestion) {
            chosen = Some((suggestion.sae, suggestion.latent));
        }
    }
    if let Some((sae, latent)) = chosen {
        form.search.clear();
        ask(cx, SteerCommand::Add(sae, latent));
    }
}

fn suggested(ui: &mut Ui, suggestion: &Suggestion) -> bool {
    let p = palette(ui);
    let name = format!("{}/{}", suggestion.site, suggestion.latent);
    let response = ui
        .horizontal(|ui| {
            let response =
                ui.add(egui::Button::new(theme::mono(&name, 12.5).color(p.accent)).frame(false));
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                ui.label(weak(ui, format!("SAE {}", suggestion.sae)));
                ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                    let label = suggestion.label.as_deref().unwrap_or("no label");
                    let ink = if suggestion.label.is_some() { p.text } else { p.faint };
                    ui.add(Label::new(RichText::new(label).size(13.0).color(ink)).truncate());
                });
            });
            response
        })
        .inner;
    ring(ui, response).on_hover_text("Change this feature").clicked()
}

/// Which site the third stream replaces.
fn splice(ui: &mut Ui, cx: &Cx<'_>, form: &mut SteerForm) {
    let Some(facts) = &cx.state.model.facts else { return };
    let sites = with(facts, &cx.state.train.runs);
    ui.add_space(4.0);
    let hint = "Replaces the whole site by what its dictionary makes of it, at every token, so \
                that what the dictionary does not explain is dropped. Shows what the dictionary \
                itself costs; features are not changed in it.";
    let label = ui
        .add(Label::new(weak(ui, "A third stream, by a reconstruction")).selectable(false))
        .on_hover_text(hint);
    let now = form.splice.map_or("none".to_owned(), |site| site.to_string());
    ui.add_enabled_ui(!sites.is_empty(), |ui| {
        ComboBox::from_id_salt("splice")
            .selected_text(now)
            .width(160.0)
            .show_ui(ui, |ui| {
                if ui.selectable_label(form.splice.is_none(), "none").clicked() {
                    form.splice = None;
                }
                for site in sites {
                    let chosen = form.splice == Some(site);
                    if ui.selectable_label(chosen, site.to_string()).clicked() {
                        form.splice = Some(site);
                    }
                }
            })
            .response
            .labelled_by(label.id);
    });
}
