//! Points over L0, on a logarithmic axis: one chart of the Pareto screen.

use crate::theme::{self, palette};
use crate::widgets::card::{define, weak};
use crate::widgets::marker::{self, Mark};
use egui::{
    Align2, Color32, FontId, Frame, Label, Margin, Pos2, Rect, Role, Sense, Shape, Stroke, Ui,
    Vec2, WidgetInfo, pos2, vec2,
};

/// One point.
#[derive(Debug, Clone)]
pub struct Point {
    /// Names it: what a hover or a click gives back.
    pub id: i64,
    /// L0.
    pub x: f64,
    /// The figure.
    pub y: f64,
    /// How it is marked.
    pub mark: Mark,
    /// What a reader of the screen is told.
    pub said: String,
    /// Which line it belongs to.
    pub line: usize,
}

/// What a chart shows.
pub struct Scatter<'a> {
    /// Its name.
    pub name: &'a str,
    /// Which end is good: "higher is better".
    pub good: &'a str,
    /// How the figure is computed.
    pub definition: &'a str,
    /// The points.
    pub points: &'a [Point],
    /// Lines through points (by place), from left to right.
    pub lines: &'a [Vec<usize>],
    /// A value to be marked by a line, with a word.
    pub mark: Option<(f64, &'a str)>,
    /// Values that belong to the picture.
    pub include: &'a [f64],
    /// How a value is written.
    pub write: fn(f64) -> String,
    /// Least and greatest L0 of all charts, so that they stand below one another.
    pub range: (f64, f64),
}

/// What was done to a chart.
#[derive(Debug, Clone, Copy, Default)]
pub struct Touched {
    /// The point under the pointer or with the focus.
    pub over: Option<i64>,
    /// The point that was clicked.
    pub clicked: Option<i64>,
}

/// Draws the chart in a card of this size; `lit` stands out.
pub fn scatter(ui: &mut Ui, chart: &Scatter<'_>, size: Vec2, lit: Option<i64>) -> Touched {
    let p = palette(ui);
    let frame = Frame::new()
        .fill(p.card)
        .stroke(Stroke::new(1.0, p.line))
        .corner_radius(10)
        .inner_margin(Margin { left: 12, right: 16, top: 10, bottom: 8 });
    frame
        .show(ui, |ui| {
            ui.set_width(size.x - 30.0);
            ui.vertical(|ui| {
                let head = ui
                    .horizontal(|ui| {
                        ui.add(Label::new(theme::strong(chart.name, 14.0)).selectable(false));
                        ui.add(Label::new(weak(ui, chart.good)).selectable(false).truncate());
                    })
                    .response;
                define(ui, head, chart.name, chart.definition);
                let size = vec2(ui.available_width(), (size.y - 48.0).max(80.0));
                let (rect, _) = ui.allocate_exact_size(size, Sense::hover());
                plot(ui, chart, rect, lit)
            })
            .inner
        })
        .inner
}

const LEFT: f32 = 44.0;
const BELOW: f32 = 32.0;

fn plot(ui: &mut Ui, chart: &Scatter<'_>, rect: Rect, lit: Option<i64>) -> Touched {
    let p = palette(ui);
    let area = Rect::from_min_max(
        pos2(rect.min.x + LEFT, rect.min.y + 8.0),
        pos2(rect.max.x - 4.0, rect.max.y - BELOW),
    );
    let ys = chart.points.iter().map(|q| q.y).chain(chart.include.iter().copied());
    let (low, high) = spread(ys.filter(|y| y.is_finite()));
    let (left, right) = (chart.range.0.log2() - 0.25, chart.range.1.log2() + 0.25);
    let at = |x: f64, y: f64| {
        let u = ((x.log2() - left) / (right - left)) as f32;
        let v = ((y - low) / (high - low)) as f32;
        pos2(area.min.x + u * area.width(), area.max.y - v * area.height())
    };
    axes(ui, chart, area, (low, high), (left, right), &at);
    if let Some((y, word)) = chart.mark.filter(|(y, _)| (low..=high).contains(y)) {
        let y = at(1.0, y).y;
        let line = [pos2(area.min.x, y), pos2(area.max.x, y)];
        ui.painter().add(Shape::dashed_line(&line, Stroke::new(1.2, p.faint), 5.0, 4.0));
        let font = FontId::proportional(11.0);
        let corner = pos2(area.max.x, y - 2.0);
        ui.painter().text(corner, Align2::RIGHT_BOTTOM, word, font, p.weak);
    }
    let places: Vec<Pos2> = chart.points.iter().map(|q| at(q.x, q.y)).collect();
    for line in chart.lines {
        let Some(first) = line.first() else { continue };
        let pen = Stroke::new(1.6, chart.points[*first].mark.color.gamma_multiply(0.45));
        ui.painter().add(Shape::line(line.iter().map(|i| places[*i]).collect(), pen));
    }
    points(ui, chart, &places, lit, p.card)
}

fn points(
    ui: &mut Ui,
    chart: &Scatter<'_>,
    places: &[Pos2],
    lit: Option<i64>,
    ground: Color32,
) -> Touched {
    let p = palette(ui);
    let mut touched = Touched::default();
    let drawn = chart.points.iter().zip(places).filter(|(q, _)| q.y.is_finite());
    for (point, at) in drawn.clone() {
        let id = ui.scope_id().with((chart.name, point.id));
        let response =
            ui.interact(Rect::from_center_size(*at, Vec2::splat(19.0)), id, Sense::click());
        let said = format!("{}, {} {}", point.said, chart.name, (chart.write)(point.y));
        response.widget_info(|| WidgetInfo::labeled(Role::Button, true, &said));
        if response.hovered() || response.has_focus() {
            touched.over = Some(point.id);
        }
        if response.clicked() {
            touched.clicked = Some(point.id);
        }
        if lit.is_none_or(|lit| lit != point.id) {
            let mut mark = point.mark;
            if lit.is_some() {
                mark.color = mark.color.gamma_multiply(0.55);
            }
            marker::draw(ui.painter(), *at, mark, 5.5, ground);
        }
    }
    // The one that stands out lies on top.
    if let Some((point, at)) = drawn.clone().find(|(q, _)| Some(q.id) == lit) {
        ui.painter().circle_stroke(*at, 12.0, Stroke::new(2.0, p.text));
        marker::draw(ui.painter(), *at, point.mark, 6.5, ground);
    }
    touched
}

fn axes(
    ui: &Ui,
    chart: &Scatter<'_>,
    area: Rect,
    (low, high): (f64, f64),
    (left, right): (f64, f64),
    at: &dyn Fn(f64, f64) -> Pos2,
) {
    let p = palette(ui);
    let font = FontId::monospace(10.5);
    let painter = ui.painter();
    for y in round_values(low, high, (area.height() / 38.0).clamp(3.0, 7.0)) {
        let height = at(1.0, y).y;
        painter.hline(area.x_range(), height, Stroke::new(1.0, p.line));
        let text = tick((chart.write)(y));
        let corner = pos2(area.min.x - 7.0, height);
        painter.text(corner, Align2::RIGHT_CENTER, text, font.clone(), p.weak);
    }
    // Powers of two; every second or fourth where they would stand too close.
    let powers = (left.ceil() as i32)..=(right.floor() as i32);
    let room = area.width() / powers.clone().count().max(1) as f32;
    let stride = if room < 14.0 {
        4
    } else if room < 28.0 {
        2
    } else {
        1
    };
    for power in powers.filter(|i| i % stride == 0) {
        let x = at(f64::from(power).exp2(), low).x;
        painter.vline(x, area.y_range(), Stroke::new(1.0, p.line.gamma_multiply(0.6)));
        let text = tick(crate::format::figure(f64::from(power).exp2()));
        painter.text(pos2(x, area.max.y + 5.0), Align2::CENTER_TOP, text, font.clone(), p.weak);
    }
    painter.hline(area.x_range(), area.max.y, Stroke::new(1.0, p.faint));
    let font = FontId::proportional(11.5);
    let below = pos2(area.center().x, area.max.y + BELOW);
    painter.text(below, Align2::CENTER_BOTTOM, "L0: active latents a token", font, p.weak);
}

/// `0.500` is `0.5`, `95.0 %` is `95 %`.
fn tick(text: String) -> String {
    let (number, unit) = text.split_once(' ').map_or((&text[..], ""), |(n, u)| (n, u));
    let number = match number.contains('.') && !number.contains('e') {
        true => number.trim_end_matches('0').trim_end_matches('.'),
        false => number,
    };
    if unit.is_empty() { number.to_owned() } else { format!("{number}\u{2009}{unit}") }
}

/// The range of these values with some air; never empty.
fn spread(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) =
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
    if low > high {
        return (0.0, 1.0);
    }
    // Points that hardly differ, or one alone, must not fill an axis whose labels are all the same.
    let air = ((high - low) * 0.08).max(high.abs() * 0.02 - (high - low) / 2.0).max(1e-9);
    (low - air, high + air)
}

/// About so many round numbers from `low` to `high`.
fn round_values(low: f64, high: f64, about: f32) -> Vec<f64> {
    let rough = (high - low) / f64::from(about);
    if !(rough > 0.0 && rough.is_finite()) {
        return Vec::new();
    }
    let ten = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * ten).find(|s| *s >= rough);
    let step = step.unwrap_or(rough);
    let first = (low / step).ceil() as i64;
    // A product may come out a hair off 0.
    let value = |i: i64| if i == 0 { 0.0 } else { i as f64 * step };
    (first..first + 12).map(value).take_while(|v| *v <= high).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_are_round_and_survive_anything() {
        assert_eq!(round_values(0.0, 1.0, 4.0), [0.0, 0.5, 1.0]);
        assert!(round_values(1.0, 1.0, 4.0).is_empty());
        assert!(round_values(f64::NAN, 1.0, 4.0).is_empty());
        let (low, high) = spread([2.0, 2.0].into_iter());
        assert!(low < 2.0 && high > 2.0);
        assert_eq!(spread(std::iter::empty()), (0.0, 1.0));
        assert_eq!(tick("95.0 %".into()), "95\u{2009}%");
    }
}
