//! How much of the behaviour circuits of any size hold.
//!
//! What a person wants to know here: how many nodes does it take; is that fewer than it takes
//! neurons; would any nodes do as well; and where does adding more stop helping.

use super::verdict::spec;
use crate::commands::{CircuitCommand, Command, VerdictCommand};
use crate::context::Cx;
use crate::format;
use crate::forms::CircuitForm;
use crate::theme::{self, palette, size};
use crate::widgets::card::{button, card, empty, failure, primary, weak};
use crate::widgets::icon::Icon;
use egui::{Color32, Label, RichText, Ui};
use egui_plot::{Corner, HLine, Legend, Line, LineStyle, Plot, PlotPoint, PlotPoints, Points};
use sparsescope_core::circuits::{CurvePoint, Estimate};

/// Draws it.
pub fn faithfulness(ui: &mut Ui, cx: &Cx<'_>, form: &mut CircuitForm) {
    let state = &cx.state.circuit;
    let Some(spec) = spec(cx, form) else {
        let text = "Find a circuit, or open one: then circuits of its strongest nodes are judged, \
                    from one node to all of them.";
        empty(ui, Icon::Circuit, "No circuit is open", text, None);
        return;
    };
    let curves = &state.verdict.curves;
    let of = curves.of.as_ref().filter(|(version, _)| *version == state.version);
    let send = |command: VerdictCommand| {
        cx.send(Command::Circuit(CircuitCommand::Verdict(command)));
    };
    ui.horizontal(|ui| {
        let running = curves.job.is_some();
        if running {
            if button(ui, "Stop").clicked() {
                send(VerdictCommand::StopCurves);
            }
        } else {
            let again = of.is_some_and(|(_, known)| *known == spec);
            let text = if again { "Judge again" } else { "Judge circuits of every size" };
            if primary(ui, text, true).clicked() {
                send(VerdictCommand::Curves(Box::new(spec.clone())));
            }
        }
        ui.add_space(8.0);
        ui.selectable_value(&mut form.verdict.completeness, false, "Faithfulness").on_hover_text(
            "(F(C) − F(∅)) / (F(M) − F(∅)) of the circuit of the strongest nodes: 1 is the model, \
             0 is nothing",
        );
        ui.selectable_value(&mut form.verdict.completeness, true, "Completeness").on_hover_text(
            "The same of all nodes but these: 0 where nothing outside carries the behaviour",
        );
        ui.add_space(8.0);
        let how = of.map_or(&spec, |(_, known)| known);
        let exempt = if how.exempt.is_empty() { "" } else { ", early blocks spared" };
        let said =
            format!("{} ablation, errors: {}{exempt}; on held-out pairs", how.ablation, how.errors);
        ui.add(Label::new(weak(ui, said)).truncate());
    });
    ui.add_space(6.0);
    if let Some(error) = curves.failure.as_ref().filter(|_| of.is_some()) {
        failure(ui, error, false);
        ui.add_space(6.0);
    }
    if of.is_none() {
        let text = "The circuit's strongest nodes, from one to all of them; random ones of the same \
                    sites in their place; and the strongest neurons.";
        empty(ui, Icon::Circuit, "Not judged yet", text, None);
        return;
    }
    let height = (ui.available_height() - 40.0).max(220.0);
    let completeness = form.verdict.completeness;
    card(ui, |ui| plot(ui, cx, completeness, height));
}

fn plot(ui: &mut Ui, cx: &Cx<'_>, completeness: bool, height: f32) {
    let p = palette(ui);
    let curves = &cx.state.circuit.verdict.curves;
    let of = |point: &CurvePoint| {
        if completeness { point.completeness } else { point.faithfulness }
    };
    let curve = |points: &[CurvePoint]| -> Vec<(f64, Estimate)> {
        points.iter().filter_map(|q| Some((q.nodes as f64, of(q)?))).collect()
    };
    let features = curve(&curves.features);
    let neurons = curve(&curves.neurons);
    let random: Vec<(f64, Estimate)> = curves
        .random
        .iter()
        .filter(|_| !completeness)
        .filter_map(|q| Some((q.nodes as f64, q.faithfulness?)))
        .collect();
    let undefined = !curves.features.is_empty() && features.is_empty();
    ui.horizontal(|ui| {
        let name = if completeness { "Completeness" } else { "Faithfulness" };
        ui.label(theme::strong(name, size::HEAD));
        ui.label(weak(ui, "against the number of nodes; bars are standard errors"));
        if undefined {
            let said = "F(M) and F(∅) cannot be told apart on these pairs: no share of it is shown";
            ui.label(RichText::new(said).size(size::SMALL).color(p.warn));
        }
    });
    let write = |mark: egui_plot::GridMark| {
        let n = 10f64.powf(mark.value);
        if (n - n.round()).abs() < 1e-6 * n {
            format::grouped(n.round() as u64)
        } else {
            String::new()
        }
    };
    Plot::new("faithfulness")
        .height(height - 40.0)
        .allow_scroll(false)
        .allow_zoom(false)
        .allow_drag(false)
        .allow_boxed_zoom(false)
        .legend(Legend::default().position(Corner::LeftTop).background_alpha(0.6))
        .show_grid([false, true])
        .x_axis_formatter(move |mark, _| write(mark))
        .x_grid_spacer(egui_plot::uniform_grid_spacer(|_| [1.0, 1.0, 1.0]))
        .x_axis_label("nodes")
        .include_x(0.0)
        .include_y(0.0)
        .include_y(1.0)
        .label_formatter(describe)
        .show(ui, |plot| {
            for at in [0.0, 1.0] {
                let style = LineStyle::dashed_dense();
                plot.hline(HLine::new("", at).color(p.faint).width(1.0).style(style));
            }
            let mut draw = |name: &str, points: &[(f64, Estimate)], color: Color32| {
                let line: Vec<PlotPoint> =
                    points.iter().map(|(n, e)| PlotPoint::new(n.log10(), e.mean)).collect();
                for (n, e) in points {
                    let bar = vec![
                        PlotPoint::new(n.log10(), e.mean - e.error),
                        PlotPoint::new(n.log10(), e.mean + e.error),
                    ];
                    let bar = Line::new(name, PlotPoints::Owned(bar)).color(color).width(1.0);
                    plot.line(bar.allow_hover(false));
                }
                plot.line(Line::new(name, PlotPoints::Owned(line.clone())).color(color).width(1.8));
                plot.points(Points::new(name, PlotPoints::Owned(line)).color(color).radius(3.0));
            };
            draw("circuit", &features, p.series[0]);
            draw("random nodes", &random, p.series[3]);
            draw("neurons", &neurons, p.series[1]);
        });
}

fn describe(hovered: &egui_plot::HoverPosition<'_>) -> Option<String> {
    match hovered {
        egui_plot::HoverPosition::NearDataPoint { plot_name, position, .. } => Some(format!(
            "{plot_name}: {} nodes, {:.3}",
            10f64.powf(position.x).round(),
            position.y
        )),
        egui_plot::HoverPosition::Elsewhere { .. } => None,
    }
}
