//! What the prompt screen asks for, and what comes back.

use crate::app::Sparsescope;
use crate::commands::PromptCommand;
use crate::events::{Event, PromptEvent};
use crate::jobs::Kind;
use crate::state::Screen;
use crate::work;
use sparsescope_core::features::PromptSpec;
use std::sync::Arc;

impl Sparsescope {
    pub(super) fn apply_prompt(&mut self, command: PromptCommand) {
        match command {
            PromptCommand::Read(spec) => self.read_prompt(spec),
            PromptCommand::Type(text) => {
                let form = &mut self.forms.prompt;
                (form.position, form.target, form.against, form.token) = (None, None, None, None);
                form.begun = true;
                form.text.clone_from(&text);
                self.read_prompt(PromptSpec { text, ..PromptSpec::default() });
            }
            PromptCommand::Show(latent) => {
                self.state.screen = Screen::Features;
                self.choose_latent(Some(latent));
            }
        }
    }

    fn read_prompt(&mut self, spec: PromptSpec) {
        let Some(id) = self.state.features.sae.as_ref().map(|s| s.id) else { return };
        let Some(model) = self.model.clone() else { return };
        let prompt = &mut self.state.prompt;
        prompt.failure = None;
        prompt.asked = Some((id, spec.clone()));
        if spec.text.is_empty() {
            prompt.reading = None;
            prompt.pending = false;
            self.jobs.cancel_kind(Kind::Prompt, "the text is empty");
            return;
        }
        prompt.pending = true;
        let (workspace, saes) = (self.state.workspace.clone(), self.saes.clone());
        self.jobs.start(
            Kind::Prompt,
            "Read a prompt",
            move |ctx| work::prompt::read(ctx, &workspace, &saes, id, &model, &spec),
            |()| None,
            |outcome| Some(Event::Prompt(PromptEvent::Read(outcome))),
        );
    }

    pub(crate) fn hear_prompt(&mut self, event: PromptEvent) {
        let prompt = &mut self.state.prompt;
        match event {
            PromptEvent::Read(Ok(reading)) => {
                prompt.reading = Some(Arc::new(reading));
                prompt.version += 1;
                prompt.pending = false;
            }
            // A newer question is on its way.
            PromptEvent::Read(Err(error)) if error.is_cancelled() => {}
            PromptEvent::Read(Err(error)) => {
                prompt.failure = Some(error);
                prompt.reading = None;
                prompt.pending = false;
            }
        }
    }
}
