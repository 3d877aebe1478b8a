//! What the circuit screen asks for of the graph, and what comes back.

use crate::app::Sparsescope;
use crate::commands::GraphCommand;
use crate::events::GraphEvent;
use egui::Context;

impl Sparsescope {
    pub(super) fn apply_graph(&mut self, _ctx: &Context, command: GraphCommand) {
        match command {}
    }

    pub(super) fn hear_graph(&mut self, event: GraphEvent) {
        match event {}
    }
}
