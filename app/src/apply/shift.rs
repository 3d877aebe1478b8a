//! What the SHIFT screen asks for, and what comes back.

use crate::app::Sparsescope;
use crate::commands::ShiftCommand;
use crate::events::ShiftEvent;
use egui::Context;

impl Sparsescope {
    pub(super) fn apply_shift(&mut self, _ctx: &Context, command: ShiftCommand) {
        match command {}
    }

    pub(crate) fn hear_shift(&mut self, event: ShiftEvent) {
        match event {}
    }
}
