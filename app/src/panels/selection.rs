//! What was selected on the direction map: a list, and the cosines with one another.

use crate::commands::{Command, DirectionsCommand};
use crate::context::Cx;
use crate::format;
use crate::forms::DirectionsForm;
use crate::theme::{self, palette};
use crate::widgets::card::{card, icon_button, weak};
use crate::widgets::heat_map::{heat_map, key};
use crate::widgets::icon::Icon;
use egui::{
    Align, Align2, FontId, Label, Layout, Rect, Role, ScrollArea, Sense, Stroke, Ui, WidgetInfo,
    pos2, vec2,
};
use sparsescope_core::directions::{CosineBlock, MOST_IN_BLOCK};

const ROW: f32 = 24.0;

/// Draws the selection into a column of this height.
pub fn selection(ui: &mut Ui, cx: &Cx<'_>, form: &mut DirectionsForm, height: f32) {
    let state = &cx.state.directions;
    let count = state.selection.len();
    let block = state.block.as_deref();
    ui.horizontal(|ui| {
        let said = match count {
            1 => "1 latent selected".to_owned(),
            n => format!("{} latents selected", format::grouped(n as u64)),
        };
        ui.label(theme::strong(said, 14.0));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if icon_button(ui, Icon::Close, "Clear the selection").clicked() {
                cx.send(Command::Directions(DirectionsCommand::Select(Vec::new())));
            }
        });
    });
    let top = ui.cursor().top();
    match block {
        Some(block) if block.latents.len() > 1 => map(ui, cx, block),
        _ if count > MOST_IN_BLOCK => {
            let text =
                format!("Select at most {MOST_IN_BLOCK} to see their cosines as a heat map.");
            ui.add(Label::new(weak(ui, text)).wrap());
        }
        _ => {}
    }
    let left = height - (ui.cursor().top() - top) - 48.0;
    list(ui, cx, form, left.max(120.0));
}

fn map(ui: &mut Ui, cx: &Cx<'_>, block: &CosineBlock) {
    let n = block.latents.len();
    card(ui, |ui| {
        let side = ui.available_width();
        let touched = heat_map(ui, n, |i, j| block.at(i, j), side);
        ui.add_space(2.0);
        key(ui, side);
        let said = match touched.over {
            Some((i, j)) => format!(
                "{} and {}: cosine {}",
                block.latents[i],
                block.latents[j],
                format::figure(f64::from(block.at(i, j)))
            ),
            None => "Cosines, like beside like; click to read".to_owned(),
        };
        ui.add(Label::new(weak(ui, said).size(12.0)).truncate()).on_hover_text(
            "Ordered by average linkage on 1 − cos: the two groups most alike are joined, again \
             and again, each turned so that its most alike end touches the other.",
        );
        if let (Some((i, _)), Some(id)) = (touched.clicked, cx.state.directions.sae) {
            cx.send(Command::Directions(DirectionsCommand::Read(id, block.latents[i])));
        }
    });
    ui.add_space(4.0);
}

fn list(ui: &mut Ui, cx: &Cx<'_>, form: &mut DirectionsForm, height: f32) {
    let p = palette(ui);
    let state = &cx.state.directions;
    // In the order of the heat map where there is one: the two are read together.
    let latents = state.block.as_deref().map_or(&state.selection, |block| &block.latents);
    let area = ScrollArea::vertical().id_salt("selected").auto_shrink(false).max_height(height);
    area.show_rows(ui, ROW, latents.len(), |ui, range| {
        ui.spacing_mut().item_spacing.y = 0.0;
        for latent in &latents[range] {
            let (row, response) =
                ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::click());
            let label = cx.state.features.label(*latent).unwrap_or_default();
            response.widget_info(|| {
                let said = format!("Latent {latent} {label}");
                WidgetInfo::labeled(Role::Button, true, said)
            });
            if response.hovered() || response.has_focus() {
                ui.painter().rect_filled(row, 5.0, p.hover);
            }
            if response.has_focus() {
                let pen = Stroke::new(2.0, p.accent);
                ui.painter().rect_stroke(row, 5.0, pen, egui::StrokeKind::Inside);
            }
            let painter = ui.painter();
            let color = form.colors.get(*latent as usize).copied().unwrap_or(p.weak);
            painter.circle_filled(row.left_center() + vec2(10.0, 0.0), 4.5, color);
            let mono = FontId::monospace(12.5);
            let number = row.left_center() + vec2(22.0, 0.0);
            painter.text(number, Align2::LEFT_CENTER, latent.to_string(), mono.clone(), p.text);
            let summary = cx.state.features.summary(*latent);
            let density = summary.map(|s| match s.density > 0.0 {
                true => format::percent(f64::from(s.density)),
                false => "never fired".to_owned(),
            });
            let right = row.right_center() - vec2(8.0, 0.0);
            if let Some(density) = density {
                painter.text(right, Align2::RIGHT_CENTER, density, mono, p.weak);
            }
            let room = Rect::from_min_max(
                pos2(row.left() + 74.0, row.top()),
                pos2(row.right() - 92.0, row.bottom()),
            );
            let font = FontId::proportional(13.0);
            let at = room.left_center();
            painter.with_clip_rect(room.intersect(ui.clip_rect())).text(
                at,
                Align2::LEFT_CENTER,
                label,
                font,
                p.text,
            );
            if response.on_hover_text("Read it").clicked()
                && let Some(id) = state.sae
            {
                cx.send(Command::Directions(DirectionsCommand::Read(id, *latent)));
            }
        }
    });
}
