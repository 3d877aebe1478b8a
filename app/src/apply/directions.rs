//! What the directions screen asks for, and what comes back.

use crate::app::Sparsescope;
use crate::commands::DirectionsCommand;
use crate::events::{DirectionsEvent, Event};
use crate::jobs::Kind;
use crate::state::{DirectionsState, NoticeText, Screen};
use crate::work::directions as work;
use sparsescope_core::directions::MOST_IN_BLOCK;
use sparsescope_core::workspace::SaeId;
use sparsescope_core::{Error, Result};
use std::sync::Arc;

impl Sparsescope {
    pub(super) fn apply_directions(&mut self, command: DirectionsCommand) {
        match command {
            DirectionsCommand::Open(id) => self.open_directions(id),
            DirectionsCommand::Lay => self.lay_map(),
            DirectionsCommand::StopLaying => {
                self.jobs.cancel_kind(Kind::Directions, "you stopped it");
            }
            DirectionsCommand::Relate => self.relate(),
            DirectionsCommand::Select(latents) => self.select_directions(latents),
            DirectionsCommand::Compare(other) => self.compare_with(other),
            DirectionsCommand::DismissComparison => self.state.directions.compare.failure = None,
            DirectionsCommand::Read(sae, latent) => self.read_latent(sae, latent),
        }
    }

    fn open_directions(&mut self, id: SaeId) {
        self.jobs.cancel_kind(Kind::Directions, "another SAE was opened");
        self.jobs.cancel_kind(Kind::Compare, "another SAE was opened");
        let version = self.state.directions.version + 1;
        let compare = self.state.directions.compare.version + 1;
        self.state.directions =
            DirectionsState { sae: Some(id), pending: true, version, ..Default::default() };
        self.state.directions.compare.version = compare;
        let workspace = self.state.workspace.clone();
        self.jobs.start(
            Kind::Map,
            "Read directions",
            move |ctx| work::open(ctx, &workspace, id),
            |()| None,
            move |outcome| Some(Event::Directions(DirectionsEvent::Opened(id, outcome))),
        );
    }

    fn lay_map(&mut self) {
        let Some(id) = self.state.directions.sae else { return };
        let workspace = self.state.workspace.clone();
        self.state.directions.laying = true;
        self.state.directions.failure = None;
        self.jobs.start(
            Kind::Directions,
            format!("t-SNE map of SAE {id}"),
            move |ctx| work::lay(ctx, &workspace, id),
            |()| None,
            move |outcome| Some(Event::Directions(DirectionsEvent::Laid(id, outcome))),
        );
    }

    fn relate(&mut self) {
        let Some(id) = self.state.directions.sae else { return };
        let workspace = self.state.workspace.clone();
        self.state.directions.relating = true;
        self.jobs.start(
            Kind::Compare,
            "Look for each direction at other sites",
            move |ctx| work::relate(ctx, &workspace, id),
            |()| None,
            move |outcome| Some(Event::Directions(DirectionsEvent::Related(id, outcome))),
        );
    }

    fn select_directions(&mut self, latents: Vec<u32>) {
        let directions = &mut self.state.directions;
        directions.block = None;
        directions.selection.clone_from(&latents);
        let Some(id) = directions.sae else { return };
        if !(2..=MOST_IN_BLOCK).contains(&latents.len()) {
            return;
        }
        let workspace = self.state.workspace.clone();
        let wanted = latents.clone();
        self.jobs.start::<_, ()>(
            Kind::Map,
            "Cosines of the selection",
            move |_| work::block(&workspace, id, &wanted),
            |()| None,
            move |outcome| Some(Event::Directions(DirectionsEvent::Block(latents, outcome))),
        );
    }

    fn compare_with(&mut self, other: SaeId) {
        let Some(id) = self.state.directions.sae else { return };
        let workspace = self.state.workspace.clone();
        let compare = &mut self.state.directions.compare;
        (compare.pending, compare.failure, compare.done) = (true, None, None);
        self.jobs.start(
            Kind::Compare,
            format!("Compare SAE {id} with SAE {other}"),
            move |ctx| work::compared(ctx, &workspace, id, other),
            |()| None,
            move |outcome| Some(Event::Directions(DirectionsEvent::Compared(id, outcome))),
        );
    }

    /// Shows a latent of any SAE of the workspace.
    fn read_latent(&mut self, sae: SaeId, latent: u32) {
        if self.state.features.sae.as_ref().is_some_and(|s| s.id == sae) {
            self.state.screen = Screen::Features;
            self.ask(crate::commands::Command::Latent(Some(latent)));
            self.forms.features.reveal = true;
        } else {
            self.state.features.wanted = Some(latent);
            self.open_sae(sae);
        }
    }

    pub(crate) fn hear_directions(&mut self, event: DirectionsEvent) {
        let open = self.state.directions.sae;
        let directions = &mut self.state.directions;
        match event {
            // What belongs to another SAE comes too late.
            DirectionsEvent::Opened(id, _)
            | DirectionsEvent::Laid(id, _)
            | DirectionsEvent::Related(id, _)
            | DirectionsEvent::Compared(id, _)
                if open != Some(id) => {}
            DirectionsEvent::Opened(_, outcome) => {
                directions.pending = false;
                match outcome {
                    Ok((map, kept)) => {
                        directions.pca = Some(Arc::new(map));
                        directions.tsne = kept.map(Arc::new);
                        directions.version += 1;
                    }
                    Err(error) => self.directions_failed(error),
                }
            }
            DirectionsEvent::Laid(_, outcome) => {
                directions.laying = false;
                match outcome {
                    Ok(map) => {
                        directions.tsne = Some(Arc::new(map));
                        directions.version += 1;
                    }
                    Err(error) => self.directions_failed(error),
                }
            }
            DirectionsEvent::Related(_, outcome) => {
                directions.relating = false;
                match outcome {
                    Ok(relatives) => {
                        directions.relatives = Some(Arc::new(relatives));
                        directions.version += 1;
                    }
                    Err(error) => self.directions_failed(error),
                }
            }
            DirectionsEvent::Block(of, outcome) => self.block_came(&of, outcome),
            DirectionsEvent::Compared(_, outcome) => {
                let compare = &mut directions.compare;
                compare.pending = false;
                compare.version += 1;
                match outcome {
                    Ok(done) => compare.done = Some(Arc::new(done)),
                    Err(error) if error.is_cancelled() => {}
                    Err(error) => compare.failure = Some(error),
                }
            }
        }
    }

    fn block_came(
        &mut self,
        of: &[u32],
        outcome: Result<sparsescope_core::directions::CosineBlock>,
    ) {
        if self.state.directions.selection != of {
            return;
        }
        match outcome {
            Ok(block) => self.state.directions.block = Some(Arc::new(block)),
            Err(error) => self.say(NoticeText::Failed(error)),
        }
    }

    fn directions_failed(&mut self, error: Error) {
        if !error.is_cancelled() {
            self.state.directions.failure = Some(error);
        }
    }
}
