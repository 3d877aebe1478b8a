//! What every panel may see, and the line on which it says what is to be done.

use crate::commands::Command;
use crate::state::State;
use crossbeam_channel::Sender;

/// What every panel may see. A panel changes nothing but its own form: it sends commands.
pub struct Cx<'a> {
    /// What is shown.
    pub state: &'a State,
    commands: &'a Sender<Command>,
}

impl<'a> Cx<'a> {
    /// The state, and where commands go.
    pub fn new(state: &'a State, commands: &'a Sender<Command>) -> Self {
        Self { state, commands }
    }

    /// Asks for something to be done; it is, after this frame.
    pub fn send(&self, command: Command) {
        // The window that would hear it is the one that draws now.
        let _ = self.commands.send(command);
    }
}
