//! Bars: a histogram, and a list of likelihoods.

use crate::fonts::drawable;
use crate::theme::{self, palette};
use crate::{format, theme::Palette};
use egui::{Align2, FontId, Pos2, Rect, Response, Role, Sense, Ui, WidgetInfo, pos2, vec2};

/// A histogram: counts in bins of equal width, with a label at each end and between.
pub struct Histogram<'a> {
    /// What it counts, for readers of the screen.
    pub name: &'a str,
    /// Count in each bin.
    pub counts: &'a [u64],
    /// Where the first bin begins and the last one ends.
    pub range: (f64, f64),
    /// How a place on the axis is written.
    pub write: fn(f64) -> String,
    /// A place to mark.
    pub mark: Option<f64>,
}

/// Draws a histogram of this height over the whole width.
pub fn histogram(ui: &mut Ui, histogram: &Histogram<'_>, height: f32) -> Response {
    let p = palette(ui);
    let (rect, response) =
        ui.allocate_exact_size(vec2(ui.available_width(), height), Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, histogram.name));
    let area = Rect::from_min_max(rect.min, rect.max - vec2(0.0, 16.0));
    let painter = ui.painter();
    painter.hline(area.x_range(), area.max.y, egui::Stroke::new(1.0, p.line));
    let most = histogram.counts.iter().copied().max().unwrap_or(0).max(1);
    let step = area.width() / histogram.counts.len().max(1) as f32;
    let mut under = None;
    for (i, &count) in histogram.counts.iter().enumerate() {
        let x = area.min.x + step * i as f32;
        let column = Rect::from_min_max(pos2(x, area.min.y), pos2(x + step, area.max.y));
        let hovered = response.hover_pos().is_some_and(|at| column.contains(at));
        if hovered {
            under = Some(i);
            painter.rect_filled(column, 0.0, p.hover);
        }
        if count == 0 {
            continue;
        }
        // A bin of one must not vanish beside a bin of thousands.
        let tall = (area.height() * count as f32 / most as f32).max(2.0);
        let bar = Rect::from_min_max(
            pos2(column.min.x + 1.0, area.max.y - tall),
            pos2(column.max.x - 1.0, area.max.y),
        );
        painter.rect_filled(bar, 1.5, if hovered { p.accent } else { p.series[0] });
    }
    let (from, to) = histogram.range;
    let at = |value: f64| area.min.x + area.width() * ((value - from) / (to - from)) as f32;
    if let Some(mark) = histogram.mark.filter(|m| (from..=to).contains(m)) {
        painter.vline(at(mark), area.y_range(), egui::Stroke::new(2.0, p.glow));
    }
    axis(ui, p, rect, histogram);
    let Some(i) = under else { return response };
    let width = (to - from) / histogram.counts.len() as f64;
    let (low, high) = (from + width * i as f64, from + width * (i + 1) as f64);
    let write = histogram.write;
    response.on_hover_text_at_pointer(format!(
        "{} between {} and {}",
        format::grouped(histogram.counts[i]),
        write(low),
        write(high)
    ))
}

fn axis(ui: &Ui, p: &Palette, rect: Rect, histogram: &Histogram<'_>) {
    let font = FontId::monospace(10.0);
    let (from, to) = histogram.range;
    let places =
        [(0.0, Align2::LEFT_BOTTOM), (0.5, Align2::CENTER_BOTTOM), (1.0, Align2::RIGHT_BOTTOM)];
    for (share, align) in places {
        let at = pos2(rect.min.x + rect.width() * share as f32, rect.max.y);
        let text = (histogram.write)(from + (to - from) * share);
        ui.painter().text(at, align, text, font.clone(), p.weak);
    }
}

/// One line of a list of likelihoods.
pub struct Likely<'a> {
    /// The token's text.
    pub text: &'a str,
    /// Its id.
    pub id: u32,
    /// Its probability.
    pub probability: f64,
    /// Its logit.
    pub logit: f64,
}

/// Draws the likeliest tokens with their probabilities as bars.
pub fn likely(ui: &mut Ui, tokens: &[Likely<'_>]) {
    let p = palette(ui);
    let font = FontId::monospace(13.0);
    let small = FontId::monospace(11.5);
    for (rank, token) in tokens.iter().enumerate() {
        let (row, response) =
            ui.allocate_exact_size(vec2(ui.available_width(), 24.0), Sense::hover());
        let percent = format::percent(token.probability);
        let said = format!("{:?} {percent}, logit {:.3}", token.text, token.logit);
        response.widget_info(|| WidgetInfo::labeled(Role::Label, true, said.as_str()));
        if !ui.is_rect_visible(row) {
            continue;
        }
        let text = drawable(ui.ctx(), &font, token.text).replace(' ', "·");
        let name_width = 120.0;
        let bar_from = row.min.x + name_width + 8.0;
        let bar_to = row.max.x - 132.0;
        let painter = ui.painter();
        let name = Rect::from_min_size(row.min, vec2(name_width, row.height()));
        let ink = if rank == 0 { p.text } else { p.text.gamma_multiply(0.85) };
        painter.with_clip_rect(name).text(
            name.left_center(),
            Align2::LEFT_CENTER,
            text,
            font.clone(),
            ink,
        );
        let trough = Rect::from_min_max(
            pos2(bar_from, row.center().y - 5.0),
            pos2(bar_to.max(bar_from), row.center().y + 5.0),
        );
        painter.rect_filled(trough, 5.0, p.well);
        let long = (trough.width() * token.probability as f32).max(3.0).min(trough.width());
        let bar = Rect::from_min_size(trough.min, vec2(long, trough.height()));
        painter.rect_filled(bar, 5.0, if rank == 0 { p.accent } else { p.series[5] });
        let end = |x: f32| Pos2::new(x, row.center().y);
        painter.text(end(row.max.x - 66.0), Align2::RIGHT_CENTER, percent, small.clone(), ink);
        let logit = format!("{:.3}", token.logit);
        painter.text(end(row.max.x), Align2::RIGHT_CENTER, logit, small.clone(), p.weak);
        response.on_hover_ui_at_pointer(|ui| {
            ui.label(theme::strong(format!("{:?}", token.text), 13.0));
            ui.label(theme::mono(format!("token {}", token.id), 12.5));
            ui.label(theme::mono(format!("logit {:.5}", token.logit), 12.5));
            ui.label(theme::mono(format!("probability {:.6}", token.probability), 12.5));
        });
    }
}
