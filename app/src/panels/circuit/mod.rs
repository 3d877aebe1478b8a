//! The circuit screen: what a behaviour is made of, and what becomes of it when a part is cut.
//!
//! What a person wants to know here: which features and which places carry this behaviour, how do
//! they act on one another, is that enough to explain it, and what does the model do without them.

mod compare;
mod faithfulness;
mod graph;
mod how;
mod nodes;
mod pairs;
mod saved;
mod task;
mod verdict;

pub use compare::Compared;
pub(crate) use graph::drawn::draw as draw_graph;

use crate::commands::Command;
use crate::context::Cx;
use crate::forms::{CircuitForm, CircuitPart, DataForm};
use crate::state::Screen;
use crate::theme;
use crate::widgets::card::{failure, ring, screen_head};
use egui::{Frame, Margin, Panel, Ui};

/// Draws the screen.
pub fn circuit(ui: &mut Ui, cx: &Cx<'_>, form: &mut CircuitForm, data: &DataForm) {
    let said = match &cx.state.circuit.circuit {
        None => {
            "Which features carry a behaviour, and what the model does without them.".to_owned()
        }
        Some(circuit) => format!(
            "{}: {} nodes, {} edges, by {} on {} pairs.",
            circuit.conventions.task.name,
            circuit.nodes.len(),
            circuit.edges.len(),
            circuit.conventions.spec.method,
            circuit.conventions.task.used.len(),
        ),
    };
    screen_head(ui, "Circuit", &said);
    let found = cx.state.circuit.circuit.is_some();
    let parts = [
        (CircuitPart::Task, "Task", "What is looked for, with what, and how"),
        (CircuitPart::Graph, "Graph", "The circuit: read it, cut it"),
        (CircuitPart::Faithfulness, "Faithfulness", "How much circuits of any size hold"),
        (CircuitPart::Compare, "Compare", "Two circuits against one another"),
    ];
    ui.horizontal(|ui| {
        if form.part == CircuitPart::Task {
            ui.set_max_width(ui.available_width().min(task::WIDEST));
        }
        for (part, name, what) in parts {
            let enabled = found || part == CircuitPart::Task;
            ui.add_enabled_ui(enabled, |ui| {
                let response = ui.selectable_label(form.part == part, theme::strong(name, 14.0));
                if ring(ui, response).on_hover_text(what).clicked() {
                    form.part = part;
                }
            });
        }
        if form.part == CircuitPart::Task {
            how::find(ui, cx, &form.task);
        }
    });
    ui.add_space(6.0);
    if let Some(error) = &cx.state.circuit.failure {
        if failure(ui, error, true) {
            cx.send(Command::DismissFailure(Screen::Circuit));
        }
        ui.add_space(6.0);
    }
    match form.part {
        CircuitPart::Task => task::task(ui, cx, form, data),
        CircuitPart::Graph => {
            if found {
                Panel::bottom("verdict")
                    .exact_size(verdict::HEIGHT + 26.0)
                    .resizable(false)
                    .show_separator_line(false)
                    .frame(Frame::new().inner_margin(Margin { top: 8, bottom: 10, ..Margin::ZERO }))
                    .show(ui, |ui| verdict::verdict(ui, cx, form));
            }
            graph::graph(ui, cx, form);
            // What was changed in this frame is judged from this frame on.
            verdict::follow(cx, form);
        }
        CircuitPart::Faithfulness => faithfulness::faithfulness(ui, cx, form),
        CircuitPart::Compare => compare::compare(ui, cx, form),
    }
}
