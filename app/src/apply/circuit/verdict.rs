//! What the circuit screen asks for of the model's behaviour, and what comes back.

use crate::app::Sparsescope;
use crate::commands::VerdictCommand;
use crate::events::{CircuitEvent, Event, VerdictEvent};
use crate::jobs::Kind;
use crate::state::SizeCurves;
use crate::work::verdict::{Asked, CurveStep, Needs};
use egui::Context;
use sparsescope_core::circuits::JudgeSpec;
use sparsescope_core::jobs::JobContext;
use std::sync::Arc;

impl Sparsescope {
    pub(super) fn apply_verdict(&mut self, _ctx: &Context, command: VerdictCommand) {
        match command {
            VerdictCommand::Judge(asked) => self.judge(*asked),
            VerdictCommand::Curves(spec) => self.judge_every_size(*spec),
            VerdictCommand::StopCurves => {
                self.jobs.cancel_kind(Kind::Curve, "stopped");
            }
        }
    }

    /// What a verdict on the open circuit needs.
    fn needs(&self) -> Option<Needs> {
        Some(Needs {
            workspace: self.state.workspace.clone(),
            bases: self.bases.clone(),
            judge: self.judge.clone(),
            model: self.model.clone()?,
            circuit: self.state.circuit.circuit.clone()?,
            task: self.state.circuit.origin.clone(),
        })
    }

    fn judge(&mut self, asked: Asked) {
        let Some(needs) = self.needs() else { return };
        let state = &mut self.state.circuit.verdict;
        state.asked = Some(asked.clone());
        state.pending = true;
        self.jobs.start(
            Kind::Verdict,
            "Judge the circuit",
            move |ctx: &JobContext| needs.judge(ctx, &asked),
            |()| None,
            |outcome| verdict(VerdictEvent::Judged(Box::new(outcome))),
        );
    }

    fn judge_every_size(&mut self, spec: JudgeSpec) {
        let Some(needs) = self.needs() else { return };
        let version = self.state.circuit.version;
        let id = self.jobs.start(
            Kind::Curve,
            "Judge circuits of every size",
            {
                let spec = spec.clone();
                move |ctx: &JobContext<CurveStep>| needs.curves(ctx, version, &spec)
            },
            |step| verdict(VerdictEvent::Step(step)),
            |outcome| verdict(VerdictEvent::Curves(outcome)),
        );
        self.state.circuit.verdict.curves =
            SizeCurves { job: Some(id), of: Some((version, spec)), ..SizeCurves::default() };
    }

    pub(super) fn hear_verdict(&mut self, event: VerdictEvent) {
        let state = &mut self.state.circuit.verdict;
        match event {
            VerdictEvent::Judged(outcome) => match *outcome {
                Ok(judged) => {
                    state.pending = false;
                    state.failure = None;
                    state.judged = Some(Arc::new(judged));
                }
                // A newer question is on its way.
                Err(error) if error.is_cancelled() => {}
                Err(error) => {
                    state.pending = false;
                    state.judged = None;
                    state.failure = Some(error);
                }
            },
            VerdictEvent::Step(CurveStep::Features(point)) => state.curves.features.push(point),
            VerdictEvent::Step(CurveStep::Neurons(point)) => state.curves.neurons.push(point),
            VerdictEvent::Step(CurveStep::Random(point)) => state.curves.random.push(point),
            VerdictEvent::Curves(outcome) => {
                state.curves.job = None;
                state.curves.failure = outcome.err().filter(|error| !error.is_cancelled());
            }
        }
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the form in which jobs hand on what they tell")]
fn verdict(event: VerdictEvent) -> Option<Event> {
    Some(Event::Circuit(CircuitEvent::Verdict(event)))
}
