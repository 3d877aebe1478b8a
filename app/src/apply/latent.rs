//! What is asked of the chosen latent, and what comes back.

use crate::app::Sparsescope;
use crate::commands::LatentCommand;
use crate::events::{Event, LatentEvent};
use crate::jobs::Kind;
use crate::state::{LatentState, NoticeText};
use crate::work;
use crate::work::latent::{self, News, Which};
use egui::Context;
use sparsescope_core::exchange::Format;
use std::path::PathBuf;

impl Sparsescope {
    pub(super) fn apply_latent(&mut self, ctx: &Context, command: LatentCommand) {
        match command {
            LatentCommand::OnText(text) => self.latent_on_text(text),
            LatentCommand::HandOut(latent, format) => self.ask_hand_out(ctx, latent, format),
            LatentCommand::HandOutTo(latent, format, path) => self.hand_out(latent, format, path),
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

    fn ask_hand_out(&self, ctx: &Context, latent: Option<u32>, format: Format) {
        let Some(sae) = &self.state.features.sae else { return };
        let what = match latent {
            Some(latent) => format!("sae-{}-latent-{latent}", sae.id),
            None => format!("sae-{}-features", sae.id),
        };
        let name = match format {
            Format::Html => format!("{what}.html"),
            Format::Neuronpedia => what,
        };
        let ctx = ctx.clone();
        let wake = std::sync::Arc::new(move || ctx.request_repaint());
        work::browse::ask_hand_out(latent, format, name, self.sender.clone(), wake);
    }

    fn hand_out(&mut self, latent: Option<u32>, format: Format, path: PathBuf) {
        let Some(id) = self.state.features.sae.as_ref().map(|s| s.id) else { return };
        let (Some(model), Some(facts)) = (self.model.clone(), &self.state.model.facts) else {
            return;
        };
        let (name, workspace) = (facts.name.clone(), self.state.workspace.clone());
        let latents = latent.map(|latent| vec![latent]);
        self.jobs.start(
            Kind::HandOut,
            "Write features for others",
            move |ctx| {
                work::exchange::hand_out(ctx, &workspace, id, &model, &name, latents, format, path)
            },
            |()| None,
            |outcome| Some(Event::Latent(LatentEvent::HandedOut(outcome))),
        );
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
        if let LatentEvent::HandedOut(outcome) = event {
            match outcome {
                Ok(done) => self.say(NoticeText::Good(format!(
                    "{} ({}) is in {}",
                    match done.features {
                        1 => "The feature".to_owned(),
                        n => format!("All of {} features", crate::format::grouped(n as u64)),
                    },
                    crate::format::bytes(done.bytes),
                    done.out.display()
                ))),
                Err(error) => self.failed(error),
            }
            return;
        }
        let latent = &mut self.state.latent;
        match event {
            LatentEvent::HandedOut(_) => {}
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
