//! What the prompt screen asks for, and what comes back.

use crate::app::Sparsescope;
use crate::commands::PromptCommand;
use crate::events::PromptEvent;

impl Sparsescope {
    pub(super) fn apply_prompt(&mut self, command: PromptCommand) {
        match command {}
    }

    pub(crate) fn hear_prompt(&mut self, event: PromptEvent) {
        match event {}
    }
}
