//! The bar at the bottom: what runs, how far it is, how to hold or stop it.

use crate::commands::Command;
use crate::context::Cx;
use crate::format;
use crate::jobs::JobView;
use crate::theme::{self, palette};
use crate::widgets::card::{icon_button, weak};
use crate::widgets::icon::Icon;
use egui::{Align, Label, Layout, Rect, Role, Sense, Ui, WidgetInfo, vec2};

/// Draws every running job, one line each; a quiet line where nothing runs.
pub fn job_bar(ui: &mut Ui, cx: &Cx<'_>) {
    let jobs = &cx.state.jobs;
    if jobs.is_empty() {
        ui.horizontal_centered(|ui| {
            ui.label(weak(ui, "Nothing is running"));
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                let place = cx.state.workspace.display();
                ui.add(Label::new(weak(ui, format!("Workspace {place}"))).truncate());
            });
        });
        return;
    }
    for job in jobs.iter().take(4) {
        line(ui, cx, job);
    }
    if jobs.len() > 4 {
        ui.label(weak(ui, format!("and {} more", jobs.len() - 4)));
    }
}

fn line(ui: &mut Ui, cx: &Cx<'_>, job: &JobView) {
    let p = palette(ui);
    ui.horizontal(|ui| {
        ui.set_height(30.0);
        let name_width = (ui.available_width() * 0.26).clamp(150.0, 320.0);
        ui.allocate_ui_with_layout(
            vec2(name_width, 30.0),
            Layout::left_to_right(Align::Center),
            |ui| {
                ui.set_width(name_width);
                ui.add(Label::new(theme::strong(&job.name, 13.0)).truncate().selectable(false));
            },
        );
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if icon_button(ui, Icon::Close, "Cancel the job").clicked() {
                cx.send(Command::CancelJob(job.id));
            }
            let (icon, name) = match job.paused {
                true => (Icon::Play, "Go on with the job"),
                false => (Icon::Pause, "Pause the job"),
            };
            if icon_button(ui, icon, name).clicked() {
                cx.send(Command::PauseJob(job.id, !job.paused));
            }
            let text_width = (ui.available_width() * 0.55).clamp(120.0, 380.0);
            ui.allocate_ui_with_layout(
                vec2(text_width, 30.0),
                Layout::left_to_right(Align::Center),
                |ui| {
                    ui.set_width(text_width);
                    ui.add(Label::new(weak(ui, what(job))).truncate().selectable(false));
                },
            );
            let (rect, response) =
                ui.allocate_exact_size(vec2(ui.available_width(), 30.0), Sense::hover());
            let said = format!("{}: {}", job.name, what(job));
            response
                .widget_info(|| WidgetInfo::labeled(Role::ProgressIndicator, true, said.as_str()));
            let trough = Rect::from_center_size(rect.center(), vec2(rect.width(), 6.0));
            ui.painter().rect_filled(trough, 3.0, p.line);
            let color = if job.paused || job.ending { p.warn } else { p.accent };
            let share = job.progress.fraction();
            let (from, to) = share.map_or_else(|| sweep(ui), |share| (0.0, share));
            let x = |s: f32| trough.min.x + trough.width() * s;
            let bar = Rect::from_x_y_ranges(x(from)..=x(to), trough.y_range());
            ui.painter().rect_filled(bar, 3.0, color);
        });
    });
}

/// Where the bar of a job of unknown length stands now.
fn sweep(ui: &Ui) -> (f32, f32) {
    ui.ctx().request_repaint_after_secs(0.05);
    let phase = ui.input(|i| (i.time * 0.6).fract()) as f32;
    ((phase * 1.3 - 0.3).max(0.0), (phase * 1.3).min(1.0))
}

/// Stage, count, rate and time left: the words a terminal prints too.
fn what(job: &JobView) -> String {
    let s = &job.progress;
    let mut words = vec![match (job.ending, job.paused) {
        (true, _) => "Stopping".to_owned(),
        (_, true) => format!("{} – paused", s.stage),
        _ => s.stage.to_owned(),
    }];
    if s.total > 0 {
        words.push(format!("{} of {} {}", count(s.done), count(s.total), s.unit));
    } else if s.done > 0 {
        words.push(format!("{} {}", count(s.done), s.unit));
    }
    if s.rate > 0.0 && !job.paused && !s.unit.is_empty() {
        words.push(format!("{}/s", format::count(s.rate)));
    }
    if let Some(left) = s.left.filter(|_| !job.paused && !job.ending) {
        words.push(format!("{} left", format::duration(left)));
    }
    words.join("  ·  ")
}

fn count(n: u64) -> String {
    format::count(n as f64)
}
