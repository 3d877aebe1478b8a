//! What is asked of the chosen latent, and what comes back.

use crate::app::Sparsescope;
use crate::commands::LatentCommand;
use crate::events::{Event, LatentEvent};
use crate::jobs::Kind;
use crate::state::LatentState;
use crate::work::latent::{self, News, Which};

impl Sparsescope {
    pub(super) fn apply_latent(&mut self, command: LatentCommand) {
        match command {
            LatentCommand::OnText(text) => self.latent_on_text(text),
            LatentCommand::Elsewhere(sae, latent) => {
                self.state.features.wanted = Some(latent);
                self.open_sae(sae);
            }
        }
    }

    /// Finds out what the latent does whose detail was read, and sees it on the text in the box.
    pub(crate) fn study_latent(&mut self) {
        let features = &self.state.features;
        let (Some(record), Some(detail)) = (features.sae.clone(), features.detail.clone()) else {
            return;
        };
        let Some(model) = self.model.clone() else { return };
        let max = features.summary(detail.latent).map_or(0.0, |l| l.max);
        let of = (record.id, detail.latent);
        self.state.latent = LatentState { of: Some(of), pending: true, ..LatentState::default() };
        let (workspace, saes) = (self.state.workspace.clone(), self.saes.clone());
        let which = Which { record, detail, max };
        self.jobs.start(
            Kind::Study,
            format!("Study latent {}", which.detail.latent),
            move |ctx| latent::read(ctx, &workspace, &saes, &model, &which),
            move |news| Some(Event::Latent(LatentEvent::News(of, news))),
            move |outcome| Some(Event::Latent(LatentEvent::Done(of, outcome))),
        );
        let text = self.forms.features.text.clone();
        self.latent_on_text(text);
    }

    fn latent_on_text(&mut self, text: String) {
        let Some((id, latent)) = self.state.latent.of else { return };
        let Some(model) = self.model.clone() else { return };
        self.state.latent.text_failure = None;
        self.state.latent.asked.clone_from(&text);
        if text.is_empty() {
            self.state.latent.on_text = None;
            self.jobs.cancel_kind(Kind::OnText, "the text is empty");
            return;
        }
        let (workspace, saes) = (self.state.workspace.clone(), self.saes.clone());
        self.jobs.start(
            Kind::OnText,
            "A latent on a text",
            move |ctx| latent::on_text(ctx, &workspace, &saes, &model, id, latent, &text),
            |()| None,
            move |outcome| Some(Event::Latent(LatentEvent::OnText((id, latent), outcome))),
        );
    }

    pub(crate) fn hear_latent(&mut self, event: LatentEvent) {
        let latent = &mut self.state.latent;
        match event {
            LatentEvent::News(of, _) | LatentEvent::Done(of, _) | LatentEvent::OnText(of, _)
                if latent.of != Some(of) => {}
            LatentEvent::News(_, news) => match news {
                News::Near(near) => latent.near = near,
                News::Neurons(neurons) => latent.neurons = neurons,
                News::Next(group, context, next) => {
                    latent.next.insert((group, context), next);
                }
                News::Logits(logits) => latent.logits = Some(logits),
                News::Elsewhere(elsewhere) => latent.elsewhere.push(elsewhere),
            },
            LatentEvent::Done(_, Ok(())) => latent.pending = false,
            // Another latent took its place.
            LatentEvent::Done(_, Err(error)) if error.is_cancelled() => {}
            LatentEvent::Done(_, Err(error)) => {
                latent.pending = false;
                latent.failure = Some(error);
            }
            LatentEvent::OnText(_, Ok(on_text)) => latent.on_text = Some(on_text),
            LatentEvent::OnText(_, Err(error)) if error.is_cancelled() => {}
            LatentEvent::OnText(_, Err(error)) => latent.text_failure = Some(error),
        }
    }
}
