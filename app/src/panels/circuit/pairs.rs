//! The editor of a task's pairs.

use crate::context::Cx;
use crate::forms::{PairRow, TaskForm};
use crate::state::Prepared;
use crate::theme::palette;
use crate::widgets::card::{button, icon_button, weak};
use crate::widgets::icon::{self, Icon};
use egui::{Label, ScrollArea, Sense, TextEdit, Ui, Vec2, vec2};

/// Height of a line.
const LINE: f32 = 32.0;
/// What the columns are, and the shares of the width that they take.
const COLUMNS: [(&str, f32, &str); 5] = [
    ("Clean prompt", 0.30, "The prompt whose continuation is to be explained"),
    ("Patch prompt", 0.30, "The same prompt, different in what matters; empty for zero ablation"),
    ("Answer", 0.13, "Expected after the clean prompt. · is a space; | stands between several"),
    ("Other", 0.14, "Expected after the patch prompt"),
    ("Case", 0.13, "Which kind of pair it is, if you want to tell kinds apart"),
];
/// Room at the right of each line.
const END: f32 = 56.0;

/// Draws it.
pub fn pairs(ui: &mut Ui, cx: &Cx<'_>, form: &mut TaskForm) {
    let p = palette(ui);
    let width = ui.available_width() - END;
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 0.0;
        for (name, share, hint) in COLUMNS {
            let size = vec2(width * share, 18.0);
            ui.allocate_ui_with_layout(
                size,
                egui::Layout::left_to_right(egui::Align::Center),
                |ui| {
                    ui.set_min_width(size.x);
                    ui.add(Label::new(weak(ui, name)).selectable(false)).on_hover_text(hint);
                },
            );
        }
    });
    let prepared = cx.state.circuit.task.prepared.as_deref();
    let (mut changed, mut removed) = (false, None);
    let count = form.rows.len();
    // A scroll area takes its rows' spacing into account by itself.
    ui.spacing_mut().item_spacing.y = 2.0;
    let height = (LINE + 2.0) * 8.0;
    ScrollArea::vertical()
        .id_salt("pairs")
        .min_scrolled_height(height)
        .max_height(height)
        .auto_shrink([false, true])
        .show_rows(ui, LINE, count, |ui, shown| {
            for at in shown {
                let Some(row) = form.rows.get_mut(at) else { continue };
                ui.horizontal(|ui| {
                    ui.spacing_mut().item_spacing.x = 0.0;
                    changed |= fields(ui, row, at, width);
                    verdict(ui, prepared, at);
                    if icon_button(ui, Icon::Close, "Take this pair away").clicked() {
                        removed = Some(at);
                    }
                });
            }
        });
    if let Some(at) = removed {
        form.rows.remove(at);
        changed = true;
    }
    ui.add_space(4.0);
    ui.horizontal(|ui| {
        if button(ui, "Add a pair").clicked() {
            form.rows.push(PairRow::default());
            changed = true;
        }
        ui.label(
            egui::RichText::new("· is a space, | stands between several answers")
                .size(12.0)
                .color(p.weak),
        );
    });
    if changed {
        form.edited = true;
        form.changed = Some(ui.input(|i| i.time));
    }
}

fn fields(ui: &mut Ui, row: &mut PairRow, at: usize, width: f32) -> bool {
    let mut changed = false;
    for (column, (text, (name, share, _))) in row.0.iter_mut().zip(COLUMNS).enumerate() {
        let field = TextEdit::singleline(text)
            .id_salt(("pair", at, column))
            .font(egui::FontId::proportional(13.0))
            .margin(egui::Margin::symmetric(6, 4))
            .desired_width(width * share - 16.0);
        let (place, _) =
            ui.allocate_exact_size(vec2(width * share - 4.0, LINE - 2.0), Sense::hover());
        let response = ui.put(place, field);
        let said = format!("{name} of pair {}", at + 1);
        response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::TextInput, true, &said));
        changed |= response.changed();
        ui.add_space(4.0);
    }
    changed
}

/// Whether the pair can be used.
fn verdict(ui: &mut Ui, prepared: Option<&Prepared>, at: usize) {
    let p = palette(ui);
    let (rect, response) = ui.allocate_exact_size(Vec2::splat(22.0), Sense::hover());
    match prepared.and_then(|prepared| prepared.why.get(at)) {
        Some(Some(why)) => {
            icon::draw(ui.painter(), rect.shrink(4.0), Icon::Warning, p.warn);
            response.on_hover_text(*why);
        }
        Some(None) => {
            ui.painter().circle_filled(rect.center(), 3.0, p.good);
            response.on_hover_text("It can be used");
        }
        None => {}
    }
}
