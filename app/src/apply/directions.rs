//! What the directions screen asks for, and what comes back.

use crate::app::Sparsescope;
use crate::commands::DirectionsCommand;
use crate::events::DirectionsEvent;

impl Sparsescope {
    pub(super) fn apply_directions(&mut self, command: DirectionsCommand) {
        match command {}
    }

    pub(crate) fn hear_directions(&mut self, event: DirectionsEvent) {
        match event {}
    }
}
