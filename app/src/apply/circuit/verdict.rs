//! What the circuit screen asks for of the model's behaviour, and what comes back.

use crate::app::Sparsescope;
use crate::commands::VerdictCommand;
use crate::events::VerdictEvent;
use egui::Context;

impl Sparsescope {
    pub(super) fn apply_verdict(&mut self, _ctx: &Context, command: VerdictCommand) {
        match command {}
    }

    pub(super) fn hear_verdict(&mut self, event: VerdictEvent) {
        match event {}
    }
}
