//! The Pareto screen: what each dictionary keeps of the model, against how many latents it needs.
//!
//! What a person wants to know here: which dictionary should I use? What does one more active
//! latent buy? Which architecture is best at the L0 I can read? Does one shrink what it
//! reconstructs (γ under 1)? Is one half dead, so that its size is a fiction? And may these be
//! compared at all: same model, same site, same text? Then: open that one, see its features.

use crate::commands::Command;
use crate::context::Cx;
use crate::format;
use crate::forms::ParetoForm;
use crate::panels::pareto_table;
use crate::theme::{self, Palette, palette};
use crate::widgets::card::{button, empty, failure, screen_head, weak};
use crate::widgets::icon::Icon;
use crate::widgets::marker::{self, Mark, mark_of};
use crate::widgets::scatter::{Point, Scatter, Touched, scatter};
use egui::{Align, ComboBox, Label, Layout, RichText, Sense, Ui, vec2};
use sparsescope_core::evaluation::Evaluation;
use sparsescope_core::llama::Site;
use sparsescope_core::workspace::{RunStatus, SaeRecord};
use std::collections::BTreeMap;

/// How each figure is computed.
pub mod definitions {
    /// L0.
    pub const L0: &str = "Mean number of latents that are not zero, a token, over the evaluated \
        sample.";
    /// Loss recovered.
    pub const RECOVERED: &str = "(CE_zero − CE_sae) / (CE_zero − CE_model): the share of the \
        model's loss that is kept when the site is replaced by its reconstruction, against \
        replacing it by zero. 100 % would be a perfect stand-in.";
    /// Fraction of variance unexplained.
    pub const FVU: &str = "Fraction of variance unexplained, pooled over the sample: Σ‖x − x̂‖² / \
        Σ‖x − mean x‖². 0 is a perfect reconstruction, 1 is no better than the mean.";
    /// Shrinkage.
    pub const GAMMA: &str = "Relative reconstruction bias γ = E‖x̂‖² / E[x·x̂]. 1 is unbiased; under \
        1 the dictionary makes its reconstructions too small, as an L1 penalty does \
        (Rajamanoharan et al. 2024, 2404.16014, eq. 10).";
    /// Dead.
    pub const DEAD: &str = "Share of latents that fired on no token of the evaluated sample.";
}

/// An evaluated dictionary.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    /// What the workspace knows of it.
    pub record: &'a SaeRecord,
    /// How good it is.
    pub evaluation: &'a Evaluation,
    /// Its mark.
    pub mark: Mark,
}

impl Row<'_> {
    /// What sets its sparsity: `k 16`, `λ 0.05`.
    pub fn sparsity(&self) -> String {
        let Some(config) = &self.record.config else { return "–".to_owned() };
        match config.architecture.k() {
            Some(k) => format!("k {k}"),
            None => format!("λ {}", format::figure(config.l1)),
        }
    }

    /// Loss recovered, if it was measured.
    pub fn recovered(&self) -> f64 {
        self.evaluation.loss.map_or(f64::NAN, |l| l.recovered)
    }

    /// What it is called in a sentence.
    pub fn name(&self) -> String {
        format!("{} {} on {}", self.record.architecture, self.sparsity(), self.record.site)
    }
}

/// Draws the screen.
pub fn pareto(ui: &mut Ui, cx: &Cx<'_>, form: &mut ParetoForm) {
    screen_head(
        ui,
        "Pareto",
        "What each dictionary keeps of the model, against how many latents it needs. Every point \
         is one SAE: click it to open its features.",
    );
    if let Some(error) = &cx.state.train.unlisted {
        failure(ui, error, false);
        ui.add_space(8.0);
    }
    let p = palette(ui);
    let of_model =
        |r: &&SaeRecord| cx.state.model.facts.as_ref().is_none_or(|facts| facts.hash == r.model);
    let runs = &cx.state.train.runs;
    let here: Vec<&SaeRecord> = runs.iter().filter(of_model).collect();
    let elsewhere = runs.iter().filter(|r| r.evaluation.is_some()).count()
        - here.iter().filter(|r| r.evaluation.is_some()).count();
    let all: Vec<Row<'_>> = here.iter().filter_map(|r| row(r, p)).collect();
    if all.is_empty() {
        nothing(ui, cx, &here, elsewhere);
        return;
    }
    let site = form.site.unwrap_or_else(|| Some(busiest(&all)));
    head(ui, cx, form, &all, site);
    let shown: Vec<Row<'_>> = all
        .iter()
        .filter(|r| site.is_none_or(|site| r.record.site == site))
        .filter(|r| !form.hidden.contains(&r.record.architecture))
        .copied()
        .collect();
    caution(ui, &shown, elsewhere);
    ui.add_space(4.0);
    let touched = charts(ui, form, &shown, site.is_some());
    if let Some(id) = touched.over
        && let Some(row) = shown.iter().find(|r| r.record.id == id)
    {
        told(ui, row);
    }
    ui.add_space(10.0);
    let waiting: Vec<&SaeRecord> = here
        .iter()
        .filter(|r| r.evaluation.is_none() && site.is_none_or(|s| r.site == s))
        .copied()
        .collect();
    let in_table = pareto_table::table(ui, cx, form, &shown, &waiting);
    form.lit = touched.over.or(in_table.over);
    if let Some(id) = touched.clicked.or(in_table.clicked) {
        cx.send(Command::OpenSae(id));
    }
}

fn row<'a>(record: &&'a SaeRecord, p: &Palette) -> Option<Row<'a>> {
    let evaluation = record.evaluation.as_ref()?;
    Some(Row { record, evaluation, mark: mark_of(&record.architecture, p) })
}

/// The site with the most dictionaries.
fn busiest(all: &[Row<'_>]) -> Site {
    let mut counts: BTreeMap<Site, usize> = BTreeMap::new();
    all.iter().for_each(|r| *counts.entry(r.record.site).or_default() += 1);
    counts.into_iter().max_by_key(|(_, n)| *n).map_or(Site::Embed, |(site, _)| site)
}

/// Which site, and the key to the marks: a click on one hides it.
fn head(ui: &mut Ui, cx: &Cx<'_>, form: &mut ParetoForm, all: &[Row<'_>], site: Option<Site>) {
    let p = palette(ui);
    let mut sites: Vec<Site> = all.iter().map(|r| r.record.site).collect();
    sites.sort_unstable();
    sites.dedup();
    let mut architectures: Vec<&str> = all.iter().map(|r| r.record.architecture.as_str()).collect();
    architectures.sort_unstable();
    architectures.dedup();
    ui.horizontal(|ui| {
        let label = ui.add(Label::new(weak(ui, "Site")).selectable(false));
        let now = site.map_or("all sites".to_owned(), |s| s.to_string());
        ComboBox::new("pareto site", "")
            .selected_text(theme::mono(now, 13.0))
            .width(110.0)
            .show_ui(ui, |ui| {
                let choices = sites.iter().map(|s| Some(*s)).chain([None]);
                for choice in choices {
                    let text = choice.map_or("all sites".to_owned(), |s| s.to_string());
                    if ui.selectable_label(choice == site, theme::mono(text, 13.0)).clicked() {
                        form.site = Some(choice);
                    }
                }
            })
            .response
            .accessible_name("Site")
            .labelled_by(label.id);
        ui.add_space(12.0);
        for name in architectures {
            let hidden = form.hidden.contains(name);
            let mut mark = mark_of(name, p);
            if hidden {
                mark.color = p.faint.gamma_multiply(0.5);
            }
            let (dot, _) = ui.allocate_exact_size(vec2(14.0, 18.0), Sense::hover());
            marker::draw(ui.painter(), dot.center(), mark, 5.5, p.ground);
            let text = RichText::new(name).size(13.0);
            let text = if hidden { text.color(p.faint).strikethrough() } else { text };
            let label = Label::new(text).selectable(false).sense(Sense::click());
            let hint = if hidden { "Show these again" } else { "Leave these out" };
            if ui.add(label).on_hover_text(hint).clicked() && !form.hidden.remove(name) {
                form.hidden.insert(name.to_owned());
            }
            ui.add_space(6.0);
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if button(ui, "Train a sweep").on_hover_text("Several SAEs on one pass").clicked() {
                cx.send(Command::SetUpSweep);
            }
        });
    });
}

/// What makes these points less comparable than they look.
fn caution(ui: &mut Ui, shown: &[Row<'_>], elsewhere: usize) {
    let p = palette(ui);
    let mut texts: Vec<(&str, u64, u64)> = shown
        .iter()
        .map(|r| (r.evaluation.corpus.as_str(), r.evaluation.seed, r.evaluation.tokens))
        .collect();
    texts.sort_unstable();
    texts.dedup();
    let mut said = Vec::new();
    if texts.len() > 1 {
        said.push(format!(
            "These were evaluated on {} different samples of text: small differences mean nothing.",
            texts.len()
        ));
    }
    let broken = shown.iter().filter(|r| !r.recovered().is_finite()).count();
    if broken > 0 {
        let have = if broken == 1 { "One of them has" } else { "Some of them have" };
        said.push(format!(
            "{have} no loss recovered that is a number: in the table, not in its chart."
        ));
    }
    if elsewhere > 0 {
        said.push(match elsewhere {
            1 => "One of another model is not shown.".to_owned(),
            n => format!("{n} of other models are not shown."),
        });
    }
    if !said.is_empty() {
        ui.add(Label::new(RichText::new(said.join(" ")).size(12.5).color(p.warn)).wrap());
    }
}

fn charts(ui: &mut Ui, form: &ParetoForm, shown: &[Row<'_>], lines: bool) -> Touched {
    let height = (ui.ctx().content_rect().height() - 500.0).clamp(240.0, 460.0);
    let xs = || shown.iter().map(|r| r.evaluation.l0).filter(|x| *x > 0.0 && x.is_finite());
    let range = (xs().fold(f64::INFINITY, f64::min), xs().fold(0.0, f64::max));
    let range = if range.0 > range.1 { (1.0, 64.0) } else { range };
    type Of = fn(&Row<'_>) -> f64;
    let gap = 10.0;
    let wide = ui.available_width() - 2.0 * gap;
    // Name, which end is good, definition, figure, sign of better, a line, what belongs to the
    // picture, share of the width.
    type Part<'a> = (&'a str, &'a str, &'a str, Of, f64, Option<(f64, &'a str)>, &'a [f64], f32);
    let parts: [Part<'_>; 3] = [
        (
            "Loss recovered",
            "higher is better",
            definitions::RECOVERED,
            |r| r.recovered(),
            1.0,
            Some((1.0, "the model itself")),
            &[],
            0.37,
        ),
        ("FVU", "lower is better", definitions::FVU, |r| r.evaluation.fvu, -1.0, None, &[], 0.37),
        (
            "γ",
            "1 is unbiased",
            definitions::GAMMA,
            |r| r.evaluation.gamma,
            0.0,
            Some((1.0, "no shrinkage")),
            &[1.0],
            0.26,
        ),
    ];
    let mut touched = Touched::default();
    ui.horizontal_top(|ui| {
        ui.spacing_mut().item_spacing.x = gap;
        for (name, good, definition, of, sign, mark, include, share) in parts {
            let points = points(shown, of);
            let lines = if lines { frontiers(&points, sign) } else { Vec::new() };
            let write = if name == "Loss recovered" { format::percent } else { format::figure };
            let chart = Scatter {
                name,
                good,
                definition,
                points: &points,
                lines: &lines,
                mark,
                include,
                write,
                range,
            };
            let now = scatter(ui, &chart, vec2(wide * share, height), form.lit);
            touched.over = touched.over.or(now.over);
            touched.clicked = touched.clicked.or(now.clicked);
        }
    });
    touched
}

fn points(shown: &[Row<'_>], of: fn(&Row<'_>) -> f64) -> Vec<Point> {
    let mut names: Vec<&str> = shown.iter().map(|r| r.record.architecture.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let point = |r: &Row<'_>| Point {
        id: r.record.id,
        x: r.evaluation.l0,
        y: if r.evaluation.l0 > 0.0 { of(r) } else { f64::NAN },
        mark: r.mark,
        said: r.name(),
        line: names.binary_search(&r.record.architecture.as_str()).unwrap_or(0),
    };
    shown.iter().map(point).collect()
}

/// For each architecture the points that no other of it beats: fewer active latents and a
/// better figure. `sign` says which way is better; with 0 all points are joined.
fn frontiers(points: &[Point], sign: f64) -> Vec<Vec<usize>> {
    let most = points.iter().map(|p| p.line + 1).max().unwrap_or(0);
    let mut lines = vec![Vec::new(); most];
    let mut order: Vec<usize> = (0..points.len()).filter(|i| points[*i].y.is_finite()).collect();
    order.sort_by(|a, b| points[*a].x.total_cmp(&points[*b].x));
    for i in order {
        let line: &mut Vec<usize> = &mut lines[points[i].line];
        let better = line.last().is_none_or(|last| sign * points[i].y > sign * points[*last].y);
        if better || sign == 0.0 {
            line.push(i);
        }
    }
    lines.retain(|line| line.len() > 1);
    lines
}

/// Everything of the dictionary under the pointer.
fn told(ui: &Ui, row: &Row<'_>) {
    let p = palette(ui);
    let (record, e) = (row.record, row.evaluation);
    let layer = ui.layer_id();
    let id = egui::Id::unique("pareto point");
    egui::Tooltip::always_open(ui.ctx().clone(), layer, id, egui::PopupAnchor::Pointer)
        .gap(14.0)
        .show(|ui| {
            ui.set_max_width(340.0);
            ui.spacing_mut().interact_size.y = 16.0;
            ui.label(theme::strong(row.name(), 14.0));
            let trained = format!(
                "{} latents · {} tokens · run {}",
                format::grouped(record.latents as u64),
                format::count(record.tokens_done as f64),
                record.id
            );
            ui.label(weak(ui, trained));
            ui.add_space(4.0);
            egui::Grid::new("point").num_columns(2).spacing(vec2(18.0, 2.0)).show(ui, |ui| {
                let mut line = |name: &str, value: String| {
                    ui.label(RichText::new(name).size(12.5).color(p.weak));
                    ui.label(theme::mono(value, 12.5));
                    ui.end_row();
                };
                line("L0", format::figure(e.l0));
                line("Loss recovered", recovered(e));
                line("FVU, pooled", format::figure(e.fvu));
                line("FVU, mean of tokens", format::figure(e.fvu_per_token));
                line("γ", format::figure(e.gamma));
                line("Dead latents", format::percent(e.dead));
                if let Some(loss) = e.loss {
                    let nats = [loss.model, loss.sae, loss.zero].map(format::figure).join(" / ");
                    line("CE model / SAE / zero", nats);
                }
                if let Some(config) = &record.config {
                    line("Learning rate", format::figure(config.lr));
                    line("Seed", config.seed.to_string());
                }
            });
            ui.add_space(4.0);
            let sample = format!(
                "Evaluated on {} tokens of {}, seed {}. Click to open its features.",
                format::grouped(e.tokens),
                e.corpus.rsplit('/').next().unwrap_or(&e.corpus),
                e.seed
            );
            ui.add(Label::new(weak(ui, sample)).wrap());
        });
}

/// Loss recovered as it is written.
pub fn recovered(evaluation: &Evaluation) -> String {
    evaluation.loss.map_or("not measured".to_owned(), |l| match l.recovered.is_finite() {
        true => format::percent(l.recovered),
        false => "not a number".to_owned(),
    })
}

fn nothing(ui: &mut Ui, cx: &Cx<'_>, here: &[&SaeRecord], elsewhere: usize) {
    if cx.state.train.unlisted.is_some() {
        return;
    }
    if !cx.state.train.listed {
        empty(ui, Icon::Pareto, "Reading the workspace", "Its dictionaries will stand here.", None);
        return;
    }
    let training = here.iter().filter(|r| r.status == RunStatus::Training).count();
    let others = match elsewhere {
        0 => String::new(),
        1 => " One dictionary of another model is not shown: open that model to see it.".into(),
        n => format!(
            " {n} dictionaries of other models are not shown: open those models to see them."
        ),
    };
    let (title, text) = match training {
        0 => (
            "Nothing to compare yet",
            "Train several dictionaries on one pass over the activations: architectures × L0 \
             targets, at one site. Each is evaluated at its end and becomes a point here.",
        ),
        _ => (
            "The first points are on their way",
            "A dictionary is evaluated as soon as its training ends, and becomes a point here.",
        ),
    };
    let text = format!("{text}{others}");
    if empty(ui, Icon::Pareto, title, &text, Some("Set up a sweep")) {
        cx.send(Command::SetUpSweep);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::widgets::marker::Form;
    use egui::Color32;

    fn point(line: usize, x: f64, y: f64) -> Point {
        let mark = Mark { form: Form::Circle, hollow: false, color: Color32::WHITE };
        Point { id: 0, x, y, mark, said: String::new(), line }
    }

    #[test]
    fn a_frontier_holds_what_nothing_beats() {
        let points = [
            point(0, 32.0, 0.2),
            point(0, 8.0, 0.5),
            point(0, 16.0, 0.6),
            point(1, 8.0, 0.1),
            point(0, 64.0, f64::NAN),
            point(0, 40.0, 0.1),
        ];
        assert_eq!(frontiers(&points, -1.0), [vec![1, 0, 5]]);
        assert_eq!(frontiers(&points, 1.0), [vec![1, 2]]);
        assert_eq!(frontiers(&points, 0.0), [vec![1, 2, 0, 5]]);
    }
}
