//! What the labels screen asks for, and what comes back.

use crate::app::Sparsescope;
use crate::commands::LabelsCommand;
use crate::events::LabelsEvent;

impl Sparsescope {
    pub(super) fn apply_labels(&mut self, command: LabelsCommand) {
        match command {}
    }

    pub(crate) fn hear_labels(&mut self, event: LabelsEvent) {
        match event {}
    }
}
