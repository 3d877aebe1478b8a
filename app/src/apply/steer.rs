//! What the steering screen asks for, and what comes back.

use crate::app::Sparsescope;
use crate::commands::SteerCommand;
use crate::events::SteerEvent;

impl Sparsescope {
    pub(super) fn apply_steer(&mut self, command: SteerCommand) {
        match command {}
    }

    pub(crate) fn hear_steer(&mut self, event: SteerEvent) {
        match event {}
    }
}
