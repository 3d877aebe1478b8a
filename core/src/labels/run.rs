//! The job that asks: takes up a run where it is, sends what is still to be asked, keeps every
//! answer as it comes.

use super::batch;
use super::clock::Clock;
use super::endpoint::{Dialect, Function, Reply, body, reply};
use super::http::{Http, Trouble, nobody};
use super::pace::{Pace, backoff};
use super::work::{Asking, RunView, TWICE, Work};
use crate::error::{Error, ErrorKind, Result};
use crate::jobs::JobContext;
use crate::workspace::{LabelRunId, LabelRunStatus, Workspace};
use crossbeam_channel::{Receiver, Sender, unbounded};
use serde_json::Value;
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

/// What a run tells while it goes.
#[derive(Debug, Clone, PartialEq)]
pub enum LabelNews {
    /// How far it is; at most a few times a second.
    View(Box<RunView>),
}

/// How a run ended for now.
#[derive(Debug, Clone, PartialEq)]
pub struct Labelled {
    /// How far it is: done, or waiting for a batch.
    pub view: RunView,
    /// What else there is to say.
    pub notes: Vec<String>,
}

/// Requests in a row that may come to nothing before the run breaks off.
const PATIENCE: u32 = 3;

/// Tries before it is believed that nobody is there.
const NOBODY: u32 = 3;

/// Goes on with a run until all is asked or, if it goes by batches, until one is to be waited for.
/// Run it again to fetch what the batch brought, and after any interruption: only what has no
/// answer yet is asked.
///
/// # Errors
/// The key is missing or refused, nobody answers, the model is not known, more would be spent than
/// was confirmed, another program works at the run, the workspace cannot be written, cancelled.
/// Whatever was answered before is kept.
pub fn run(
    ctx: &JobContext<LabelNews>,
    workspace: &mut Workspace,
    id: LabelRunId,
    clock: &dyn Clock,
) -> Result<Labelled> {
    let _held = workspace.hold_label_run(id)?;
    let mut work = Work::open(workspace, id)?;
    workspace.set_label_run(id, LabelRunStatus::Running, None)?;
    let asked = go_on(ctx, workspace, &mut work, clock);
    let (status, failure) = match &asked {
        Ok(true) => (LabelRunStatus::Waiting, None),
        Ok(false) => match work.failed() {
            None => (LabelRunStatus::Done, None),
            Some((n, why)) => (
                LabelRunStatus::Stopped,
                Some(format!("{n} requests came to nothing, the last because {why}")),
            ),
        },
        Err(e) if e.is_cancelled() => (LabelRunStatus::Stopped, None),
        Err(e) => (LabelRunStatus::Stopped, Some(e.to_string())),
    };
    workspace.set_label_run(id, status, failure.as_deref())?;
    let view = work.view(workspace)?;
    ctx.emit(LabelNews::View(Box::new(view.clone())));
    asked.map(|_| Labelled { view, notes: work.notes })
}

/// Whether a batch is to be waited for.
fn go_on(
    ctx: &JobContext<LabelNews>,
    workspace: &mut Workspace,
    work: &mut Work,
    clock: &dyn Clock,
) -> Result<bool> {
    let patience = Duration::from_secs(work.request.limits.patience.max(1));
    let http = Http::new(work.endpoint(), patience)?;
    let stage = if work.batched() { "Asking in batches" } else { "Asking the language model" };
    ctx.progress().stage(stage, "requests", work.done(), work.total());
    if work.batched() {
        batch::go_on(ctx, workspace, work, &http, clock)
    } else {
        work.check_spent()?;
        Direct::new(work).ask(ctx, workspace, work, &http, clock).map(|()| false)
    }
}

/// A request that waits for its turn.
struct Waiting {
    asking: Asking,
    tries: u32,
    /// Not before.
    due: Duration,
}

type Answer = (String, Result<String, Trouble>);

struct Direct {
    queue: VecDeque<Waiting>,
    flying: HashMap<String, Waiting>,
    pace: Pace,
    dialect: Dialect,
    failed: u32,
    answers: (Sender<Answer>, Receiver<Answer>),
    told: Option<Instant>,
}

impl Direct {
    fn new(work: &Work) -> Self {
        let queue = work.to_ask().into_iter().map(Waiting::first).collect();
        Self {
            queue,
            flying: HashMap::new(),
            pace: Pace::default(),
            dialect: Dialect::default(),
            failed: 0,
            answers: unbounded(),
            told: None,
        }
    }

    fn ask(
        mut self,
        ctx: &JobContext<LabelNews>,
        workspace: &mut Workspace,
        work: &mut Work,
        http: &Http,
        clock: &dyn Clock,
    ) -> Result<()> {
        let check = || ctx.check();
        let at_once = work.request.limits.at_once.max(1);
        while !(self.queue.is_empty() && self.flying.is_empty()) {
            check()?;
            let mut pause = Duration::from_millis(50);
            while self.flying.len() < at_once && !self.queue.is_empty() {
                let now = clock.now();
                let Some(next) = self.queue.iter().position(|w| w.due <= now) else {
                    let due = self.queue.iter().map(|w| w.due).min().unwrap_or(now);
                    pause = due.saturating_sub(now);
                    break;
                };
                let tokens = self.queue[next].asking.tokens;
                let delay = self.pace.delay(&work.request.limits, now, tokens);
                if !delay.is_zero() {
                    pause = delay;
                    break;
                }
                let Some(waiting) = self.queue.remove(next) else { break };
                work.note_sent(workspace, &waiting.asking)?;
                self.pace.note(now, tokens);
                self.send(work, http, waiting)?;
            }
            if self.flying.is_empty() {
                clock.wait(pause.max(Duration::from_millis(1)), &check)?;
                continue;
            }
            // The real time: it is a real server that is waited for.
            let Ok((name, answer)) = self.answers.1.recv_timeout(Duration::from_millis(50)) else {
                continue;
            };
            self.hear(workspace, work, clock, &name, answer)?;
            ctx.progress().set(work.done());
            work.check_spent()?;
            if self.told.is_none_or(|at| at.elapsed() > Duration::from_millis(250)) {
                ctx.emit(LabelNews::View(Box::new(work.view(workspace)?)));
                self.told = Some(Instant::now());
            }
        }
        Ok(())
    }

    /// Sends on a thread of its own, which ends by itself: a request cannot be called back, and
    /// nobody waits for it once the job is stopped.
    fn send(&mut self, work: &Work, http: &Http, waiting: Waiting) -> Result<()> {
        let body = body(work.endpoint(), &waiting.asking.prompt, self.dialect).to_string();
        let address = work.endpoint().address(Function::Message);
        let (http, answers) = (http.clone(), self.answers.0.clone());
        let name = waiting.asking.name.clone();
        let thread = std::thread::Builder::new().name(format!("Ask {name}"));
        let asked = thread.spawn(move || {
            let answer = http.send(&address, Some(&body));
            // The job may be gone.
            let _ = answers.send((name, answer));
        });
        asked.map_err(|e| Error::io("Could not start a thread", &e))?;
        self.flying.insert(waiting.asking.name.clone(), waiting);
        Ok(())
    }

    fn hear(
        &mut self,
        workspace: &mut Workspace,
        work: &mut Work,
        clock: &dyn Clock,
        name: &str,
        answer: Result<String, Trouble>,
    ) -> Result<()> {
        let Some(mut waiting) = self.flying.remove(name) else { return Ok(()) };
        let protocol = work.endpoint().protocol;
        let answer = answer.and_then(|text| read(&text, |value| reply(protocol, value)));
        let limits = work.request.limits;
        let failed = match answer {
            Ok(reply) => {
                self.failed = 0;
                let estimated = waiting.asking.tokens - u64::from(waiting.asking.prompt.max_tokens);
                let latent = work.answered(workspace, name, Ok(reply), estimated)?;
                if waiting.asking.expected.is_empty()
                    && let Some(latent) = latent
                {
                    // A judge's questions go before new labels: a latent is done sooner.
                    let judge = work.to_ask_about(latent).into_iter().map(Waiting::first);
                    judge.rev().for_each(|w| self.queue.push_front(w));
                }
                return Ok(());
            }
            Err(Trouble::Again { why, after, perhaps_billed, nobody: gone }) => {
                waiting.tries += 1;
                if gone && waiting.tries >= NOBODY.min(limits.tries.max(1)) {
                    work.answered(workspace, name, Err(why.clone()), 0)?;
                    return Err(nobody(work.endpoint(), &why));
                }
                if waiting.tries < limits.tries.max(1) {
                    if perhaps_billed {
                        waiting.asking.note = Some(format!("{TWICE}{why}"));
                    }
                    let now = clock.now();
                    let wait = backoff(waiting.tries, after, rand::random());
                    waiting.due = now + wait;
                    if after.is_some() {
                        self.pace.rest(now + wait);
                    }
                    self.queue.push_front(waiting);
                    return Ok(());
                }
                format!("{why} ({} tries)", waiting.tries)
            }
            Err(Trouble::Request(why)) => {
                if let Some(dialect) = self.dialect.after(&why) {
                    self.dialect = dialect;
                    self.queue.push_front(waiting);
                    return Ok(());
                }
                why
            }
            Err(Trouble::Endpoint(error)) => {
                work.answered(workspace, name, Err(error.why.clone()), 0)?;
                return Err(error);
            }
        };
        work.answered(workspace, name, Err(failed.clone()), 0)?;
        self.failed += 1;
        if self.failed < PATIENCE {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Io,
            format!("{} does not answer as it should", work.endpoint().url),
            format!("{PATIENCE} requests in a row came to nothing, the last because {failed}"),
            "What was answered is kept: go on with the run later, or look at model and address",
        ))
    }
}

impl Waiting {
    fn first(asking: Asking) -> Self {
        Self { asking, tries: 0, due: Duration::ZERO }
    }
}

/// Reads an answer's JSON. What broke off on the way is worth another try.
pub(super) fn read(
    text: &str,
    reply: impl Fn(&Value) -> Result<Reply, String>,
) -> Result<Reply, Trouble> {
    let value: Value = serde_json::from_str(text).map_err(|e| Trouble::Again {
        why: format!("its answer is no JSON: {e}"),
        after: None,
        perhaps_billed: true,
        nobody: false,
    })?;
    reply(&value)
        .map_err(|why| Trouble::Request(format!("its answer is not what it should be: {why}")))
}
