//! What the circuit screen asks for, and what comes back.

mod graph;
mod task;
mod verdict;

use crate::app::Sparsescope;
use crate::commands::CircuitCommand;
use crate::events::CircuitEvent;
use egui::Context;

impl Sparsescope {
    pub(super) fn apply_circuit(&mut self, ctx: &Context, command: CircuitCommand) {
        match command {
            CircuitCommand::Task(command) => self.apply_task(ctx, command),
            CircuitCommand::Graph(command) => self.apply_graph(ctx, command),
            CircuitCommand::Verdict(command) => self.apply_verdict(ctx, command),
        }
    }

    pub(crate) fn hear_circuit(&mut self, event: CircuitEvent) {
        match event {
            CircuitEvent::Task(event) => self.hear_task(event),
            CircuitEvent::Graph(event) => self.hear_graph(event),
            CircuitEvent::Verdict(event) => self.hear_verdict(event),
        }
    }
}
