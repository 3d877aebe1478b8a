//! Notices: good news that goes away by itself, failures that stay until they are read.

use crate::commands::Command;
use crate::context::Cx;
use crate::panels::rail;
use crate::state::NoticeText;
use crate::theme::palette;
use crate::widgets::card::{failure, icon_button};
use crate::widgets::icon::{self, Icon};
use egui::{Align2, Area, Context, Frame, Id, Label, Margin, Order, Sense, Stroke, Vec2, vec2};

/// Draws the notices over the lower left of the screen: what can be pressed stands at the right.
pub fn notices(ctx: &Context, cx: &Cx<'_>, lift: f32) {
    if cx.state.notices.is_empty() {
        return;
    }
    let width = 400.0_f32.min(ctx.content_rect().width() - 40.0);
    Area::new(Id::unique("notices"))
        .order(Order::Foreground)
        .anchor(Align2::LEFT_BOTTOM, vec2(rail::WIDTH + 24.0, -lift - 12.0))
        .show(ctx, |ui| {
            ui.set_width(width);
            ui.spacing_mut().item_spacing.y = 8.0;
            let p = palette(ui);
            for notice in cx.state.notices.iter().rev().take(4).rev() {
                let gone = match &notice.text {
                    NoticeText::Failed(error) => failure(ui, error, true),
                    NoticeText::Good(text) => {
                        Frame::new()
                            .fill(p.card)
                            .stroke(Stroke::new(1.0, p.good))
                            .corner_radius(10)
                            .inner_margin(Margin::symmetric(14, 8))
                            .show(ui, |ui| {
                                ui.set_width(ui.available_width());
                                ui.horizontal(|ui| {
                                    let (at, _) =
                                        ui.allocate_exact_size(Vec2::splat(18.0), Sense::hover());
                                    icon::draw(ui.painter(), at, Icon::Tick, p.good);
                                    let room = ui.available_width() - 34.0;
                                    ui.vertical(|ui| {
                                        ui.set_width(room);
                                        ui.add_space(4.0);
                                        ui.add(Label::new(text).wrap());
                                    });
                                    icon_button(ui, Icon::Close, "Dismiss").clicked()
                                })
                                .inner
                            })
                            .inner
                    }
                };
                if gone {
                    cx.send(Command::Dismiss(notice.id));
                }
            }
        });
}
