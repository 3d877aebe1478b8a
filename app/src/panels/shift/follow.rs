//! What follows from what was set: texts are read, the trim is measured, keys are heard.

use super::ask;
use crate::commands::ShiftCommand;
use crate::context::Cx;
use crate::format;
use crate::forms::ShiftForm;
use egui::{Key, KeyboardShortcut, Modifiers, Ui};
use sparsescope_core::llama::Site;
use sparsescope_core::shift::Verdict;

const UNDO: KeyboardShortcut = KeyboardShortcut::new(Modifiers::COMMAND, Key::Z);
const REDO: [KeyboardShortcut; 2] = [
    KeyboardShortcut::new(Modifiers::COMMAND.plus(Modifiers::SHIFT), Key::Z),
    KeyboardShortcut::new(Modifiers::COMMAND, Key::Y),
];

/// Asks for what is not yet as the form says.
/// `judging` says whether judging is on screen, so that its keys are heard.
pub fn follow(ui: &Ui, cx: &Cx<'_>, form: &mut ShiftForm, judging: bool) {
    let state = &cx.state.shift;
    if let Some(facts) = &cx.state.model.facts {
        let sites = Site::all(facts.layers);
        if !sites.contains(&form.probe.site) {
            // Another model with fewer blocks.
            form.probe.site = Site::Resid(facts.layers / 2);
        }
    }
    if let (Some(wanted), Some(_)) = (form.texts(), &cx.state.model.facts)
        && state.asked.as_ref() != Some(&wanted)
    {
        ask(cx, ShiftCommand::Read);
    }
    if !state.listed {
        ask(cx, ShiftCommand::List);
    }
    if let (Some(_), Some(_)) = (&state.found, &state.trained) {
        let wanted = (state.version, state.judged.now.trimmed());
        if state.live.asked.as_ref() != Some(&wanted) {
            ask(cx, ShiftCommand::Measure);
        }
    }
    let nodes = nodes(cx, form);
    if form.chosen.is_none_or(|chosen| !nodes.contains(&chosen)) {
        // Another study goes on where it was left.
        let open =
            |n: &&sparsescope_core::circuits::Node| cx.state.shift.judged.now.verdict(n).is_none();
        form.chosen = nodes.iter().find(open).or(nodes.first()).copied();
        form.reveal = true;
    }
    if judging {
        keys(ui, cx, form);
    }
}

/// The features that are to be judged, in their order.
fn nodes(cx: &Cx<'_>, form: &ShiftForm) -> Vec<sparsescope_core::circuits::Node> {
    cx.state.shift.to_judge(form.to_judge).iter().map(|n| n.node).collect()
}

/// Chooses the feature `by` places further down.
pub fn walk(cx: &Cx<'_>, form: &mut ShiftForm, by: isize) {
    let nodes = nodes(cx, form);
    let Some(last) = nodes.len().checked_sub(1) else { return };
    let now = form.chosen.and_then(|chosen| nodes.iter().position(|n| *n == chosen));
    let next = now.map_or(0, |at| at.saturating_add_signed(by).min(last));
    form.chosen = Some(nodes[next]);
    form.reveal = true;
}

/// Judges the chosen feature and goes on to the next that is not judged.
pub fn judge(cx: &Cx<'_>, form: &mut ShiftForm, verdict: Verdict) {
    let Some(chosen) = form.chosen else { return };
    ask(cx, ShiftCommand::Judge(chosen, Some(verdict)));
    let nodes = nodes(cx, form);
    let Some(at) = nodes.iter().position(|n| *n == chosen) else { return };
    let open = |n: &&sparsescope_core::circuits::Node| {
        **n != chosen && cx.state.shift.judged.now.verdict(n).is_none()
    };
    // What comes after, then what was passed over before.
    let next = nodes[at..].iter().chain(&nodes[..at]).find(open);
    if let Some(next) = next {
        form.chosen = Some(*next);
        form.reveal = true;
    }
}

fn keys(ui: &Ui, cx: &Cx<'_>, form: &mut ShiftForm) {
    if ui.ctx().text_edit_focused() || cx.state.shift.found.is_none() {
        return;
    }
    let ctx = ui.ctx().clone();
    // The one with more keys first.
    if REDO.iter().any(|keys| ctx.input_mut(|i| i.consume_shortcut(keys))) {
        ask(cx, ShiftCommand::Redo);
    }
    if ctx.input_mut(|i| i.consume_shortcut(&UNDO)) {
        ask(cx, ShiftCommand::Undo);
    }
    let pressed = |key| ctx.input_mut(|i| i.consume_key(Modifiers::NONE, key));
    if pressed(Key::K) {
        judge(cx, form, Verdict::Keep);
    }
    if pressed(Key::T) {
        judge(cx, form, Verdict::Trim);
    }
    if pressed(Key::ArrowDown) {
        walk(cx, form, 1);
    }
    if pressed(Key::ArrowUp) {
        walk(cx, form, -1);
    }
}

/// Of each step whether it is done, and what came of it.
pub fn done(cx: &Cx<'_>, form: &ShiftForm) -> [(bool, String); 4] {
    let state = &cx.state.shift;
    let probe = match (&state.trained, &state.texts) {
        (Some(trained), _) => (
            true,
            format!(
                "{} at {}, worst group {}",
                format::percent(trained.original.label.mean),
                trained.probe.site,
                format::percent(trained.original.worst_group.mean)
            ),
        ),
        (None, Some(texts)) => (
            false,
            format!("{} texts, no probe yet", format::grouped(texts.data.items.len() as u64)),
        ),
        (None, None) => (false, "no texts yet".to_owned()),
    };
    let count = state.to_judge(form.to_judge).len();
    let circuit = match count {
        0 => (false, "not found yet".to_owned()),
        n => (true, format!("{n} features to judge")),
    };
    let (judged, trimmed) = judged(cx, form);
    let judge = match count {
        0 => (false, "nothing to judge yet".to_owned()),
        n => (judged == n, format!("{judged} of {n} judged, {trimmed} trimmed")),
    };
    let rows = state.results.rows.len();
    let result = match (&state.live.last, rows) {
        (None, 0) => (false, "no numbers yet".to_owned()),
        (Some(live), 0) => {
            (false, format!("worst group {}", format::percent(live.trimmed.worst_group.mean)))
        }
        (_, n) => (!state.results.filling, format!("{n} rows")),
    };
    [probe, circuit, judge, result]
}

/// How many of the features that are to be judged are, and how many features are trimmed.
pub fn judged(cx: &Cx<'_>, form: &ShiftForm) -> (usize, usize) {
    let state = &cx.state.shift;
    let of_list = state.to_judge(form.to_judge);
    let judged = of_list.iter().filter(|n| state.judged.now.all.contains_key(&n.node)).count();
    (judged, state.judged.now.trimmed().len())
}
