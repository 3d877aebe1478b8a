//! A curve over tokens, with its current value as a large figure above it.

use crate::format;
use crate::theme::{self, palette, size};
use crate::widgets::card::{define, weak};
use egui::{Align, Color32, FontId, Frame, Label, Layout, Margin, Rangef, Stroke, Ui, vec2};
use egui_plot::{
    AxisHints, GridInput, GridMark, HPlacement, HoverPosition, Line, Plot, PlotPoint, Points,
    VPlacement,
};

/// One curve and what it is called.
pub struct Metric<'a> {
    /// Its name, which also names the plot.
    pub name: &'a str,
    /// Tokens and value, in order.
    pub points: &'a [PlotPoint],
    /// Its colour.
    pub color: Color32,
    /// How its values are written.
    pub write: fn(f64) -> String,
    /// How it is computed, shown on hover.
    pub definition: &'a str,
    /// Tokens of the whole run, so that the curve grows from the left; 0 if unknown.
    pub tokens: f64,
    /// Whether 0 belongs to the picture.
    pub from_zero: bool,
    /// What is high for it, where its points do not say.
    pub scale: f64,
    /// Whether each point is a measurement of its own, to be seen as a dot.
    pub dots: bool,
}

/// Draws the metric in a card of this height.
pub fn metric_plot(ui: &mut Ui, metric: &Metric<'_>, height: f32) {
    let p = palette(ui);
    Frame::new()
        .fill(p.card)
        .stroke(Stroke::new(1.0, p.line))
        .corner_radius(10)
        .inner_margin(Margin { left: 12, right: 22, top: 10, bottom: 6 })
        .show(ui, |ui| {
            ui.set_width(ui.available_width());
            head(ui, metric);
            plot(ui, metric, (height - 62.0).max(40.0));
        });
}

fn head(ui: &mut Ui, metric: &Metric<'_>) {
    let p = palette(ui);
    let response = ui
        .horizontal(|ui| {
            let (dot, _) = ui.allocate_exact_size(vec2(8.0, 8.0), egui::Sense::hover());
            ui.painter().circle_filled(dot.center(), 4.0, metric.color);
            ui.add(Label::new(weak(ui, metric.name)).selectable(false).truncate());
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                let now = metric.points.last().map(|q| (metric.write)(q.y));
                let text = now.unwrap_or_else(|| "–".to_owned());
                let text = theme::strong(text, size::FIGURE - 3.0).color(p.text);
                ui.add(Label::new(text).selectable(false).truncate());
            });
        })
        .response;
    define(ui, response, metric.name, metric.definition);
}

fn plot(ui: &mut Ui, metric: &Metric<'_>, height: f32) {
    let p = palette(ui);
    let font = FontId::monospace(10.0);
    let write = metric.write;
    let x = AxisHints::new_x()
        .formatter(
            |mark, _| if mark.value < 0.0 { String::new() } else { format::count(mark.value) },
        )
        .tick_label_font(font.clone())
        .tick_label_color(p.weak)
        .placement(VPlacement::Bottom);
    let y = AxisHints::new_y()
        .formatter(move |mark, _| short(write, mark.value))
        .tick_label_font(font)
        .tick_label_color(p.weak)
        .min_thickness(34.0)
        .placement(HPlacement::Left);
    let mut plot = Plot::new(("metric", metric.name))
        .height(height)
        .custom_x_axes(vec![x])
        .custom_y_axes(vec![y])
        .y_grid_spacer(|input| marks(input, 4.0))
        .x_grid_spacer(|input| marks(input, 3.0))
        .grid_spacing(Rangef::new(2.0, 60.0))
        .show_background(false)
        .show_crosshair(false)
        .grid_color(p.line)
        .allow_zoom(false)
        .allow_scroll(false)
        .allow_drag(false)
        .allow_boxed_zoom(false)
        .include_x(0.0)
        .set_margin_fraction(vec2(0.01, 0.09))
        .label_formatter(move |at| match at {
            HoverPosition::NearDataPoint { position, .. } => {
                Some(format!("{}\nat {} tokens", write(position.y), format::count(position.x)))
            }
            HoverPosition::Elsewhere { .. } => None,
        });
    if metric.tokens > 0.0 {
        plot = plot.include_x(metric.tokens);
    }
    if metric.from_zero {
        plot = plot.include_y(0.0);
    }
    if metric.points.iter().all(|p| p.y == 0.0) {
        // Nothing but zeros has no scale of its own.
        plot = plot.include_y(metric.scale);
    }
    plot.show(ui, |plot| {
        plot.line(Line::new(metric.name, metric.points).color(metric.color).width(1.8));
        if metric.dots {
            plot.points(Points::new("measured", metric.points).color(metric.color).radius(3.0));
        }
    });
}

/// About so many round numbers over the visible range.
fn marks(input: GridInput, about: f64) -> Vec<GridMark> {
    let (from, to) = input.bounds;
    let rough = (to - from) / about;
    if !(rough > 0.0 && rough.is_finite()) {
        return Vec::new();
    }
    let ten = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().map(|m| m * ten).find(|s| *s >= rough);
    let step = step.unwrap_or(rough);
    let first = (from / step).ceil() as i64;
    // All of one rank: no mark is fainter than another.
    (first..first + 12)
        .map(|i| GridMark { value: i as f64 * step, step_size: to - from })
        .take_while(|mark| mark.value <= to)
        .collect()
}

/// A tick's label: `0.500` is `0.5`, `40.0 k` is `40k`.
fn short(write: fn(f64) -> String, value: f64) -> String {
    let text = write(value);
    let (number, unit) = text.split_once(' ').unwrap_or((&text, ""));
    let number = match number.contains('.') && !number.contains('e') {
        true => number.trim_end_matches('0').trim_end_matches('.'),
        false => number,
    };
    format!("{number}{unit}")
}
