//! A run of labelling under way: what is still to be asked, and what is done with every answer.

use super::endpoint::{Endpoint, Prompt, Reply};
use super::parse;
use super::plan::{Confirmed, Delivery, Estimate, LabelRequest, load_material, tokens_of};
use super::prompts::Material;
use crate::error::{Error, Result};
use crate::workspace::{
    CallState, Judged, LabelBatch, LabelCall, LabelId, LabelRun, LabelRunId, LabelRunStatus,
    LabelScores, LabelSource, NewLabel, SaeId, Workspace,
};
use std::collections::{BTreeMap, HashSet};

/// What a run has used so far.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Spent {
    /// Requests that were answered.
    pub requests: u64,
    /// Tokens that the server says it read.
    pub input_tokens: u64,
    /// Tokens that the server says it wrote.
    pub output_tokens: u64,
    /// US dollars; `None` if the price is not known.
    pub cost: Option<f64>,
    /// Requests that may be billed twice: sent, without an answer, and sent again.
    pub unsure: u64,
}

/// How far one latent is.
#[derive(Debug, Clone, PartialEq)]
pub struct LatentView {
    /// The latent.
    pub latent: u32,
    /// Its label, once there is one.
    pub label: Option<String>,
    /// How the judge did with it so far.
    pub scores: LabelScores,
    /// Questions in all, and those that were answered or came to nothing.
    pub questions: (usize, usize),
    /// What went wrong, if something did: one sentence for each request.
    pub failures: Vec<String>,
}

/// How far a run is.
#[derive(Debug, Clone, PartialEq)]
pub struct RunView {
    /// Names it.
    pub id: LabelRunId,
    /// The dictionary.
    pub sae: SaeId,
    /// What it does.
    pub request: LabelRequest,
    /// What was confirmed.
    pub confirmed: Estimate,
    /// Where it stands.
    pub status: LabelRunStatus,
    /// Why it broke off, if it did.
    pub failure: Option<String>,
    /// What it has used.
    pub spent: Spent,
    /// Its latents.
    pub latents: Vec<LatentView>,
    /// Its batches.
    pub batches: Vec<LabelBatch>,
    /// When it was begun, seconds since 1970.
    pub created: i64,
}

/// Reads how far a run is.
///
/// # Errors
/// There is none, or it cannot be read.
pub fn view(workspace: &Workspace, id: LabelRunId) -> Result<RunView> {
    Work::open(workspace, id)?.view(workspace)
}

/// A question that is to be asked.
#[derive(Debug, Clone)]
pub(super) struct Asking {
    pub name: String,
    pub latent: u32,
    pub prompt: Prompt,
    pub expected: Vec<bool>,
    /// Estimated tokens, those of the answer included.
    pub tokens: u64,
    /// What to note beside the answer.
    pub note: Option<String>,
}

impl Asking {
    /// The request as it is kept before it is sent.
    pub fn sent(&self) -> LabelCall {
        LabelCall {
            name: self.name.clone(),
            latent: self.latent,
            state: CallState::Sent,
            expected: self.expected.clone(),
            reply: None,
            failure: self.note.clone(),
            input_tokens: 0,
            output_tokens: 0,
            batch: None,
        }
    }
}

/// The note of a request that was sent twice.
pub(super) const TWICE: &str = "May be billed twice: ";

pub(super) struct Work {
    run: LabelRun,
    pub request: LabelRequest,
    pub confirmed: Confirmed,
    material: Vec<Material>,
    calls: BTreeMap<String, LabelCall>,
    /// Requests that came to nothing since the run was taken up: not tried again before the next
    /// time.
    tried: HashSet<String>,
    /// What else there is to say.
    pub notes: Vec<String>,
}

impl Work {
    pub fn open(workspace: &Workspace, id: LabelRunId) -> Result<Self> {
        let run = workspace.label_run(id)?;
        let damaged = |e: serde_json::Error| {
            Error::format(
                format!("The run of labelling {id} cannot be read"),
                e.to_string(),
                "Begin a new run; the labels that this one wrote are kept",
            )
        };
        let request: LabelRequest = serde_json::from_value(run.request.clone()).map_err(damaged)?;
        let confirmed = serde_json::from_value(run.confirmed.clone()).map_err(damaged)?;
        let calls =
            workspace.label_calls(id)?.into_iter().map(|call| (call.name.clone(), call)).collect();
        Ok(Self {
            material: load_material(workspace, id)?,
            run,
            request,
            confirmed,
            calls,
            tried: HashSet::new(),
            notes: Vec::new(),
        })
    }

    pub fn id(&self) -> LabelRunId {
        self.run.id
    }

    pub fn endpoint(&self) -> &Endpoint {
        &self.request.endpoint
    }

    pub fn batched(&self) -> bool {
        self.request.delivery == Delivery::Batch
    }

    /// Requests of the run in all, as far as is known.
    pub fn total(&self) -> u64 {
        self.material.iter().map(|m| 1 + questions(m).count() as u64).sum()
    }

    /// Requests that need no more asking.
    pub fn done(&self) -> u64 {
        let done = |c: &&LabelCall| matches!(c.state, CallState::Done | CallState::Unparsed);
        self.calls.values().filter(done).count() as u64
    }

    /// What can be asked now.
    pub fn to_ask(&self) -> Vec<Asking> {
        self.material.iter().flat_map(|of| self.to_ask_of(of)).collect()
    }

    /// What can be asked now about one latent.
    pub fn to_ask_about(&self, latent: u32) -> Vec<Asking> {
        let of = self.material.iter().filter(|m| m.latent == latent);
        of.flat_map(|of| self.to_ask_of(of)).collect()
    }

    fn to_ask_of(&self, of: &Material) -> Vec<Asking> {
        let asking = |name: String, prompt: Prompt, expected: Vec<bool>| {
            let note = match self.calls.get(&name) {
                Some(call) if call.state == CallState::Sent && call.batch.is_none() => {
                    Some(format!("{TWICE}the program ended before its answer came"))
                }
                Some(call) if call.state != CallState::Failed => return None,
                _ if self.tried.contains(&name) => return None,
                _ => None,
            };
            let tokens = tokens_of(&prompt) + u64::from(prompt.max_tokens);
            Some(Asking { name, latent: of.latent, prompt, expected, tokens, note })
        };
        let Some(label) = self.label(of.latent) else {
            return asking(write_name(of.latent), of.write(), Vec::new()).into_iter().collect();
        };
        let judge = |(fuzz, i, question): (bool, usize, &super::prompts::Question)| {
            let name = judge_name(of.latent, fuzz, i);
            asking(name, of.judge(fuzz, question, &label), question.expected.clone())
        };
        questions(of).filter_map(judge).collect()
    }

    fn label(&self, latent: u32) -> Option<String> {
        let call = self.calls.get(&write_name(latent))?;
        let reply = call.reply.as_ref().filter(|_| call.state == CallState::Done)?;
        parse::label(reply).ok()
    }

    /// Saves requests as sent.
    pub fn note_sent(&mut self, workspace: &mut Workspace, asking: &Asking) -> Result<()> {
        let call = asking.sent();
        workspace.save_label_calls(self.run.id, std::slice::from_ref(&call))?;
        self.calls.insert(call.name.clone(), call);
        Ok(())
    }

    /// Takes up requests that were saved as sent in a batch.
    pub fn note_batch(&mut self, calls: Vec<LabelCall>) {
        self.calls.extend(calls.into_iter().map(|call| (call.name.clone(), call)));
    }

    /// The requests of a batch without an answer.
    pub fn unanswered(&self, batch: i64) -> Vec<String> {
        let open = |c: &&LabelCall| c.batch == Some(batch) && c.state == CallState::Sent;
        self.calls.values().filter(open).map(|call| call.name.clone()).collect()
    }

    /// Saves an answer, or why there is none, and what follows from it. Returns the latent.
    pub fn answered(
        &mut self,
        workspace: &mut Workspace,
        name: &str,
        outcome: Result<Reply, String>,
        estimated: u64,
    ) -> Result<Option<u32>> {
        let Some(call) = self.calls.get_mut(name) else { return Ok(None) };
        match outcome {
            Ok(reply) => {
                // A server that does not say what it bills is taken to bill what was estimated.
                call.input_tokens = reply.input_tokens.unwrap_or(estimated);
                call.output_tokens =
                    reply.output_tokens.unwrap_or(reply.text.len().div_ceil(3) as u64);
                let parsed = if call.expected.is_empty() {
                    parse::label(&reply.text).map(|_| ())
                } else {
                    parse::answers(&reply.text, call.expected.len()).map(|_| ())
                };
                call.state = if parsed.is_ok() { CallState::Done } else { CallState::Unparsed };
                let cut = if reply.cut { " (it was cut off at the limit of tokens)" } else { "" };
                if let Err(why) = parsed {
                    call.failure = Some(format!("{why}{cut}"));
                }
                if let Some(model) = reply.model
                    && !model.starts_with(&self.request.endpoint.model)
                {
                    let asked = &self.request.endpoint.model;
                    let note = format!("{asked} was asked, and {model} answered");
                    if !self.notes.contains(&note) {
                        self.notes.push(note);
                    }
                }
                call.reply = Some(reply.text);
            }
            Err(why) => {
                call.state = CallState::Failed;
                call.failure = Some(why);
                self.tried.insert(name.to_owned());
            }
        }
        let (call, latent) = (call.clone(), call.latent);
        workspace.save_label_calls(self.run.id, &[call])?;
        self.keep_label(workspace, latent)?;
        Ok(Some(latent))
    }

    /// Saves the label of a latent as soon as there is one, and its scores once all is judged.
    fn keep_label(&self, workspace: &mut Workspace, latent: u32) -> Result<()> {
        let Some(text) = self.label(latent) else { return Ok(()) };
        let source = LabelSource::Model {
            endpoint: self.request.endpoint.url.clone(),
            model: self.request.endpoint.model.clone(),
        };
        let Some(of) = self.material.iter().find(|m| m.latent == latent) else { return Ok(()) };
        let id = self.own_label(workspace, latent, &source)?;
        let id = match id {
            Some(id) => id,
            None => {
                let label = NewLabel { latent, text, source, scores: None };
                workspace.add_label(self.run.sae, label)?
            }
        };
        let judged = questions(of).all(|(fuzz, i, _)| {
            let call = self.calls.get(&judge_name(latent, fuzz, i));
            call.is_some_and(|c| c.state != CallState::Sent)
        });
        let scores = self.scores(of);
        if judged && (scores.detection.is_some() || scores.fuzzing.is_some()) {
            workspace.score_label(id, &scores)?;
        }
        Ok(())
    }

    /// The label that this run has saved for a latent.
    fn own_label(
        &self,
        workspace: &Workspace,
        latent: u32,
        source: &LabelSource,
    ) -> Result<Option<LabelId>> {
        let history = workspace.label_history(self.run.sae, latent)?;
        let own = history
            .iter()
            .find(|l| l.source == *source && l.created >= self.run.created)
            .map(|label| label.id);
        Ok(own)
    }

    fn scores(&self, of: &Material) -> LabelScores {
        let sum = |kind: bool| {
            let mut all: Option<Judged> = None;
            for (fuzz, i, _) in questions(of).filter(|(fuzz, ..)| *fuzz == kind) {
                let Some(call) = self.calls.get(&judge_name(of.latent, fuzz, i)) else { continue };
                if let Some(judged) = judged(call) {
                    all.get_or_insert_default().add(&judged);
                }
            }
            all
        };
        LabelScores {
            detection: sum(false),
            fuzzing: sum(true),
            judge: self.request.endpoint.model.clone(),
        }
    }

    /// Tokens billed so far, in all runs of this confirmation.
    pub fn billed(&self) -> (u64, u64) {
        self.calls.values().fold((0, 0), |(input, output), call| {
            (input + call.input_tokens, output + call.output_tokens)
        })
    }

    /// Refuses to go on past what was confirmed.
    pub fn check_spent(&self) -> Result<()> {
        let (input, output) = self.billed();
        match self.confirmed.exceeded(input, output, self.batched()) {
            None => Ok(()),
            Some(why) => Err(Error::setting(
                "The run was stopped before it costs more",
                why,
                "What was answered is kept; begin a new run for the rest, and confirm it",
            )),
        }
    }

    /// Requests that came to nothing, and why the last of them did.
    pub fn failed(&self) -> Option<(usize, String)> {
        let failed: Vec<&LabelCall> =
            self.calls.values().filter(|c| c.state == CallState::Failed).collect();
        let why = failed.last()?.failure.clone().unwrap_or_default();
        Some((failed.len(), why))
    }

    pub fn view(&self, workspace: &Workspace) -> Result<RunView> {
        let (input_tokens, output_tokens) = self.billed();
        let price = self.confirmed.estimate().price;
        let twice =
            |c: &&LabelCall| c.failure.as_deref().is_some_and(|text| text.starts_with(TWICE));
        let run = workspace.label_run(self.run.id)?;
        Ok(RunView {
            id: run.id,
            sae: run.sae,
            request: self.request.clone(),
            confirmed: self.confirmed.estimate().clone(),
            status: run.status,
            failure: run.failure,
            spent: Spent {
                requests: self.done(),
                input_tokens,
                output_tokens,
                cost: price.map(|p| p.of(input_tokens, output_tokens, self.batched())),
                unsure: self.calls.values().filter(twice).count() as u64,
            },
            latents: self.material.iter().map(|of| self.view_of(of)).collect(),
            batches: workspace.label_batches(self.run.id)?,
            created: run.created,
        })
    }

    fn view_of(&self, of: &Material) -> LatentView {
        let names = questions(of).map(|(fuzz, i, _)| judge_name(of.latent, fuzz, i));
        let names: Vec<String> = std::iter::once(write_name(of.latent)).chain(names).collect();
        let calls: Vec<&LabelCall> = names.iter().filter_map(|name| self.calls.get(name)).collect();
        let over = calls.iter().filter(|c| c.state != CallState::Sent).count();
        let bad = |c: &&&LabelCall| matches!(c.state, CallState::Failed | CallState::Unparsed);
        LatentView {
            latent: of.latent,
            label: self.label(of.latent),
            scores: self.scores(of),
            questions: (names.len(), over),
            failures: calls.iter().filter(bad).filter_map(|c| c.failure.clone()).collect(),
        }
    }
}

/// What the judge's answer to one question comes to; `None` while there is none.
fn judged(call: &LabelCall) -> Option<Judged> {
    let mut judged = Judged::default();
    match call.state {
        CallState::Sent | CallState::Failed => return None,
        CallState::Unparsed => judged.unparsed = call.expected.len() as u32,
        CallState::Done => {
            let answers = parse::answers(call.reply.as_deref()?, call.expected.len()).ok()?;
            for (said, truth) in answers.into_iter().zip(&call.expected) {
                match (said, truth) {
                    (true, true) => judged.true_positives += 1,
                    (false, true) => judged.false_negatives += 1,
                    (false, false) => judged.true_negatives += 1,
                    (true, false) => judged.false_positives += 1,
                }
            }
        }
    }
    Some(judged)
}

/// The questions to the judge: whether it is fuzzing, its number, what is asked.
fn questions(of: &Material) -> impl Iterator<Item = (bool, usize, &super::prompts::Question)> {
    let detect = of.detect.iter().enumerate().map(|(i, q)| (false, i, q));
    detect.chain(of.fuzz.iter().enumerate().map(|(i, q)| (true, i, q)))
}

fn write_name(latent: u32) -> String {
    format!("{latent}-write")
}

fn judge_name(latent: u32, fuzz: bool, i: usize) -> String {
    format!("{latent}-{}-{i}", if fuzz { "fuzz" } else { "detect" })
}
