//! The window's side of jobs: start them, watch them, hold or stop them. Never waits.
//!
//! A job of any kind becomes a [`Running`] one: its events and its outcome are turned into the
//! window's own [`Event`]s as they are drained, once a frame.

use crate::events::Event;
use sparsescope_core::Result;
use sparsescope_core::jobs::{JobContext, JobEvent, JobHandle, Snapshot, spawn};
use std::sync::Arc;

/// What a job is for; decides whether it is shown and what it replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Opening a model.
    Load,
    /// The next-token check.
    Next,
    /// The first rows of a corpus.
    Preview,
    /// Activations to disk.
    Capture,
    /// Training an SAE.
    Train,
    /// Examples and densities of an SAE's latents.
    Collect,
    /// Reading what is known of one latent.
    Detail,
    /// Finding out what one latent does.
    Study,
    /// One latent on a text.
    OnText,
    /// Looking for words in labels and contexts.
    Search,
    /// Reading a prompt.
    Prompt,
    /// Laying out directions.
    Directions,
    /// Making contexts searchable.
    Index,
    /// Comparing directions with those of other dictionaries.
    Compare,
    /// Reading directions, the cosines of a few.
    Map,
    /// Saving a picture.
    Picture,
    /// Writing features for others.
    HandOut,
    /// Asking a language model for labels.
    Label,
    /// Working out what that would cost.
    Plan,
    /// Looking where a key is.
    Key,
    /// Measuring how good an SAE is.
    Evaluate,
    /// Reading a task: which of its pairs can be used.
    Prepare,
    /// Finding a circuit.
    Find,
    /// What the model does with and without it.
    Verdict,
    /// The same for circuits of many sizes.
    Curve,
    /// A node's card.
    Card,
    /// Biographies and their probe.
    ShiftProbe,
    /// The circuit of the probe's output.
    ShiftFind,
    /// A feature to be judged.
    ShiftCard,
    /// What balanced texts tell of features.
    ShiftTold,
    /// What the probe does without the features that are trimmed.
    ShiftLive,
    /// The table of results.
    ShiftTable,
    /// What the model writes, changed and unchanged.
    Steer,
    /// Features that fit some words.
    Suggest,
    /// How strong features can be.
    Maxima,
    /// What sets two prompts apart.
    Contrast,
    /// The tour.
    Tour,
    /// Something small of the workspace's: listing, opening, saving.
    Workspace,
}

impl Kind {
    /// Whether the job bar shows it: work that a person waits for, not what follows their typing.
    pub fn is_shown(self) -> bool {
        !matches!(
            self,
            Self::Next
                | Self::Preview
                | Self::Workspace
                | Self::Detail
                | Self::Study
                | Self::OnText
                | Self::Search
                | Self::Prompt
                | Self::Key
                | Self::Map
                | Self::Picture
                | Self::Prepare
                | Self::Verdict
                | Self::Card
                | Self::ShiftCard
                | Self::ShiftLive
                | Self::Suggest
                | Self::Maxima
                | Self::Contrast
        )
    }

    /// Whether a new job of this kind makes the old one pointless.
    fn replaces(self) -> bool {
        matches!(
            self,
            Self::Load
                | Self::Next
                | Self::Preview
                | Self::Collect
                | Self::Detail
                | Self::Study
                | Self::OnText
                | Self::Search
                | Self::Prompt
                | Self::Directions
                | Self::Index
                | Self::Plan
                | Self::Key
                | Self::Compare
                | Self::Prepare
                | Self::Find
                | Self::Verdict
                | Self::Curve
                | Self::Card
                | Self::ShiftProbe
                | Self::ShiftFind
                | Self::ShiftCard
                | Self::ShiftTold
                | Self::ShiftLive
                | Self::ShiftTable
                | Self::Steer
                | Self::Suggest
                | Self::Contrast
        )
    }
}

/// Names a job for as long as the program runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct JobId(pub u64);

/// What the job bar shows of a job.
#[derive(Debug, Clone)]
pub struct JobView {
    /// Its name for commands.
    pub id: JobId,
    /// What it is for.
    pub kind: Kind,
    /// "Train topk on resid.2".
    pub name: String,
    /// How far it is.
    pub progress: Snapshot,
    /// Whether it is held.
    pub paused: bool,
    /// Whether it was asked to stop and has not yet.
    pub ending: bool,
}

/// A job with its types put away.
trait Work {
    fn name(&self) -> &str;
    fn progress(&self) -> Snapshot;
    fn is_paused(&self) -> bool;
    fn pause(&self, paused: bool);
    fn cancel(&self, reason: &str);
    /// Appends what came; says whether the job has ended.
    fn drain(&mut self, out: &mut Vec<Event>) -> bool;
}

struct Typed<T, E, H, D> {
    handle: JobHandle<T, E>,
    hear: H,
    done: Option<D>,
}

impl<T, E, H, D> Work for Typed<T, E, H, D>
where
    H: FnMut(E) -> Option<Event>,
    D: FnOnce(Result<T>) -> Option<Event>,
{
    fn name(&self) -> &str {
        self.handle.name()
    }

    fn progress(&self) -> Snapshot {
        self.handle.progress()
    }

    fn is_paused(&self) -> bool {
        self.handle.is_paused()
    }

    fn pause(&self, paused: bool) {
        self.handle.pause(paused);
    }

    fn cancel(&self, reason: &str) {
        self.handle.cancel(reason);
    }

    fn drain(&mut self, out: &mut Vec<Event>) -> bool {
        let mut ended = false;
        for event in self.handle.drain() {
            match event {
                JobEvent::Event(e) => out.extend((self.hear)(e)),
                JobEvent::Log(line) => tracing::info!("{}: {line}", self.handle.name()),
                JobEvent::Done(outcome) => {
                    ended = true;
                    out.extend(self.done.take().and_then(|done| done(outcome)));
                }
            }
        }
        ended
    }
}

struct Running {
    id: JobId,
    kind: Kind,
    ending: bool,
    work: Box<dyn Work>,
}

/// The jobs of this window.
pub struct Jobs {
    last: u64,
    wake: Arc<dyn Fn() + Send + Sync>,
    running: Vec<Running>,
}

impl Jobs {
    /// No jobs yet; `wake` asks for a repaint.
    pub fn new(wake: Arc<dyn Fn() + Send + Sync>) -> Self {
        Self { last: 0, wake, running: Vec::new() }
    }

    /// Starts `job`. `hear` turns its events into the window's, `done` its outcome.
    pub fn start<T, E>(
        &mut self,
        kind: Kind,
        name: impl Into<String>,
        job: impl FnOnce(&JobContext<E>) -> Result<T> + Send + 'static,
        hear: impl FnMut(E) -> Option<Event> + 'static,
        done: impl FnOnce(Result<T>) -> Option<Event> + 'static,
    ) -> JobId
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        if kind.replaces() {
            self.cancel_kind(kind, "a newer one took its place");
        }
        self.last += 1;
        let id = JobId(self.last);
        let handle = spawn(name, self.wake.clone(), job);
        let work = Box::new(Typed { handle, hear, done: Some(done) });
        self.running.push(Running { id, kind, ending: false, work });
        id
    }

    /// What came from every job since the last frame. A job that has ended is let go of: its
    /// thread has nothing left to do, so this does not wait.
    pub fn drain(&mut self) -> Vec<Event> {
        let mut out = Vec::new();
        self.running.retain_mut(|job| !job.work.drain(&mut out));
        out
    }

    /// What the job bar shows.
    pub fn views(&self) -> Vec<JobView> {
        let view = |job: &Running| JobView {
            id: job.id,
            kind: job.kind,
            name: job.work.name().to_owned(),
            progress: job.work.progress(),
            paused: job.work.is_paused(),
            ending: job.ending,
        };
        self.running.iter().filter(|j| j.kind.is_shown()).map(view).collect()
    }

    /// Whether a job of this kind runs and was not asked to stop.
    pub fn is_running(&self, kind: Kind) -> bool {
        self.running.iter().any(|j| j.kind == kind && !j.ending)
    }

    /// Whether any job runs.
    pub fn is_idle(&self) -> bool {
        self.running.is_empty()
    }

    /// Holds a job, or lets it go on.
    pub fn pause(&self, id: JobId, paused: bool) {
        if let Some(job) = self.running.iter().find(|j| j.id == id) {
            job.work.pause(paused);
        }
    }

    /// Asks a job to stop; it is gone once it says so.
    pub fn cancel(&mut self, id: JobId, reason: &str) {
        self.cancel_where(reason, |j| j.id == id);
    }

    /// Asks every job of a kind to stop.
    pub fn cancel_kind(&mut self, kind: Kind, reason: &str) {
        self.cancel_where(reason, |j| j.kind == kind);
    }

    fn cancel_where(&mut self, reason: &str, which: impl Fn(&Running) -> bool) {
        for job in self.running.iter_mut().filter(|j| which(j)) {
            job.work.cancel(reason);
            job.ending = true;
        }
    }
}
