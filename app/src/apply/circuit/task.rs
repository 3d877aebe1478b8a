//! What the circuit screen asks for of the task, and what comes back.

use crate::app::Sparsescope;
use crate::commands::TaskCommand;
use crate::events::TaskEvent;
use egui::Context;

impl Sparsescope {
    pub(super) fn apply_task(&mut self, _ctx: &Context, command: TaskCommand) {
        match command {}
    }

    pub(super) fn hear_task(&mut self, event: TaskEvent) {
        match event {}
    }
}
