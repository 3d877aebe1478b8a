//! Batches of messages: sent, left alone, fetched another day.
//!
//! A batch is noted in the workspace before it is sent, and the server's name of it right after.
//! If the program ends between the two, the server's own list tells whether it arrived; until that
//! is known it is neither sent again nor given up. Results come in any order and are matched by
//! the name that was given to each request, which holds a tag of the batch.

use super::clock::Clock;
use super::endpoint::{Dialect, Function, body, reply};
use super::http::{Http, Trouble, nobody};
use super::pace::backoff;
use super::run::LabelNews;
use super::work::{Asking, Work};
use crate::error::{Error, ErrorKind, Result};
use crate::jobs::JobContext;
use crate::workspace::{LabelBatch, LabelRunId, LabelRunStatus, Workspace};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::HashSet;
use std::time::Duration;

/// Requests in one batch at most.
const MOST: usize = 10_000;

/// Bytes of one batch at most.
const MOST_BYTES: usize = 64 << 20;

/// Fetches what the open batches brought, then sends what can be asked next. Whether a batch is to
/// be waited for.
pub(super) fn go_on(
    ctx: &JobContext<LabelNews>,
    workspace: &mut Workspace,
    work: &mut Work,
    http: &Http,
    clock: &dyn Clock,
) -> Result<bool> {
    let server = Server { ctx, http, clock, tries: work.request.limits.tries.max(1) };
    let mut waiting = false;
    for mut batch in workspace.label_batches(work.id())?.into_iter().filter(|b| !b.ended) {
        if batch.remote.is_none() && !recover(&server, workspace, work, &mut batch)? {
            continue;
        }
        waiting |= !fetch(&server, workspace, work, &mut batch)?;
        ctx.progress().set(work.done());
    }
    // What was paid for is fetched first; then it is asked whether more may be spent.
    if waiting {
        return Ok(true);
    }
    work.check_spent()?;
    let mut left = work.to_ask();
    let sent = !left.is_empty();
    while !left.is_empty() {
        let mut bytes = 0;
        let fit = left.iter().take(MOST).take_while(|asking| {
            bytes += asking.prompt.system.len() + asking.prompt.user.len() + 500;
            bytes <= MOST_BYTES
        });
        let rest = left.split_off(fit.count().max(1));
        send(&server, workspace, work, &std::mem::replace(&mut left, rest))?;
    }
    Ok(sent)
}

/// Asks the server to stop the open batches of a run. What it has answered by then is kept and
/// billed; fetch it by going on with the run.
///
/// # Errors
/// The server cannot be asked, or another program works at the run.
pub fn cancel_batches(
    ctx: &JobContext<LabelNews>,
    workspace: &mut Workspace,
    id: LabelRunId,
    clock: &dyn Clock,
) -> Result<usize> {
    let _held = workspace.hold_label_run(id)?;
    let work = Work::open(workspace, id)?;
    let http = Http::new(work.endpoint(), Duration::from_secs(work.request.limits.patience))?;
    let server = Server { ctx, http: &http, clock, tries: work.request.limits.tries.max(1) };
    let open = workspace.label_batches(id)?.into_iter().filter(|b| !b.ended);
    let names: Vec<String> = open.filter_map(|b| b.remote).collect();
    for name in &names {
        server.ask(&work, Function::Cancel(name), Some("{}"), true)?;
    }
    workspace.set_label_run(id, LabelRunStatus::Waiting, None)?;
    Ok(names.len())
}

struct Server<'a> {
    ctx: &'a JobContext<LabelNews>,
    http: &'a Http,
    clock: &'a dyn Clock,
    tries: u32,
}

/// Why a batch was not sent.
enum Unsent {
    /// The server has it not.
    Refused(Error),
    /// It may have it.
    Unknown(Error),
}

impl From<Unsent> for Error {
    fn from(unsent: Unsent) -> Self {
        match unsent {
            Unsent::Refused(error) | Unsent::Unknown(error) => error,
        }
    }
}

impl Server<'_> {
    /// Asks, again if that may help. `harmless`: asking twice does not matter.
    fn ask(
        &self,
        work: &Work,
        function: Function<'_>,
        body: Option<&str>,
        harmless: bool,
    ) -> Result<String, Unsent> {
        let address = work.endpoint().address(function);
        let failed = |why: &str| {
            Error::new(
                ErrorKind::Io,
                format!("{} does not answer as it should", work.endpoint().url),
                why,
                "What was answered is kept: go on with the run later",
            )
        };
        let mut tries = 0;
        loop {
            let answer = self.once(&address, body).map_err(Unsent::Unknown)?;
            let (why, after, perhaps, gone) = match answer {
                Ok(text) => return Ok(text),
                Err(Trouble::Endpoint(error)) => return Err(Unsent::Refused(error)),
                Err(Trouble::Request(why)) => return Err(Unsent::Refused(failed(&why))),
                Err(Trouble::Again { why, after, perhaps_billed, nobody }) => {
                    (why, after, perhaps_billed, nobody)
                }
            };
            tries += 1;
            if gone && tries >= 3.min(self.tries) {
                return Err(Unsent::Refused(nobody(work.endpoint(), &why)));
            }
            if perhaps && !harmless {
                return Err(Unsent::Unknown(failed(&why)));
            }
            if tries >= self.tries {
                return Err(Unsent::Refused(failed(&why)));
            }
            let wait = backoff(tries, after, rand::random());
            self.clock.wait(wait, &|| self.ctx.check()).map_err(Unsent::Refused)?;
        }
    }

    /// One request on a thread of its own, so that the job can be stopped meanwhile.
    fn once(&self, address: &str, body: Option<&str>) -> Result<Result<String, Trouble>> {
        let (sender, receiver) = crossbeam_channel::bounded(1);
        let (http, address) = (self.http.clone(), address.to_owned());
        let body = body.map(str::to_owned);
        let thread = std::thread::Builder::new().name("Ask for a batch".into());
        let asked = thread.spawn(move || {
            let _ = sender.send(http.send(&address, body.as_deref()));
        });
        asked.map_err(|e| Error::io("Could not start a thread", &e))?;
        loop {
            self.ctx.check()?;
            match receiver.recv_timeout(Duration::from_millis(50)) {
                Ok(answer) => return Ok(answer),
                Err(crossbeam_channel::RecvTimeoutError::Timeout) => {}
                Err(crossbeam_channel::RecvTimeoutError::Disconnected) => {
                    return Err(Error::internal("A request broke off", "its thread ended"));
                }
            }
        }
    }
}

fn send(
    server: &Server<'_>,
    workspace: &mut Workspace,
    work: &mut Work,
    asking: &[Asking],
) -> Result<()> {
    let mut calls: Vec<_> = asking.iter().map(Asking::sent).collect();
    let id = workspace.begin_label_batch(work.id(), &mut calls)?;
    work.note_batch(calls);
    let tag = tag(workspace, work.id(), id);
    let requests: Vec<Value> = asking
        .iter()
        .map(|a| {
            let params = body(work.endpoint(), &a.prompt, Dialect::default());
            json!({"custom_id": format!("{tag}_{}", a.name), "params": params})
        })
        .collect();
    let text = json!({ "requests": requests }).to_string();
    let answer = match server.ask(work, Function::Batches, Some(&text), false) {
        Ok(answer) => answer,
        Err(Unsent::Refused(error)) => {
            workspace.forget_label_batch(id)?;
            return Err(error);
        }
        Err(Unsent::Unknown(error)) => {
            return Err(Error::new(
                error.kind,
                "It is not known whether a batch arrived",
                error.why,
                "Go on with the run: it looks first whether the server has the batch",
            ));
        }
    };
    let value: Value = serde_json::from_str(&answer).unwrap_or_default();
    let remote = value["id"].as_str().map(str::to_owned);
    let known = remote.is_some();
    let counts = Some(value["request_counts"].clone()).filter(|c| !c.is_null());
    workspace.set_label_batch(&LabelBatch { id, remote, ended: false, counts, created: 0 })?;
    if known {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Format,
        "It is not known whether a batch arrived",
        "the server's answer does not name it",
        "Go on with the run: it looks first whether the server has the batch",
    ))
}

/// Finds out whether a batch whose sending was interrupted is with the server. If it is not, it is
/// forgotten, and its requests are asked anew.
fn recover(
    server: &Server<'_>,
    workspace: &mut Workspace,
    work: &mut Work,
    batch: &mut LabelBatch,
) -> Result<bool> {
    let text = server.ask(work, Function::Batches, None, true)?;
    let value: Value = serde_json::from_str(&text).unwrap_or_default();
    let Some(list) = value["data"].as_array() else {
        return Err(Error::format(
            "It is not known whether a batch arrived",
            "the server's list of batches cannot be read",
            "Go on with the run later",
        ));
    };
    let count = work.unanswered(batch.id).len() as u64;
    let mut known = Vec::new();
    for run in workspace.label_runs(None)? {
        known.extend(workspace.label_batches(run.id)?.into_iter().filter_map(|b| b.remote));
    }
    let candidates: Vec<&str> = list
        .iter()
        .filter(|b| {
            let counts = b["request_counts"].as_object();
            let all: u64 =
                counts.into_iter().flat_map(|c| c.values()).filter_map(Value::as_u64).sum();
            // A day: the server's clock is not ours.
            let young = b["created_at"].as_str().and_then(date);
            all == count && young.is_none_or(|at| at > batch.created - 86_400)
        })
        .filter_map(|b| b["id"].as_str())
        .filter(|id| !known.iter().any(|k| k == id))
        .collect();
    match candidates[..] {
        [] => {
            workspace.forget_label_batch(batch.id)?;
            let notes = std::mem::take(&mut work.notes);
            *work = Work::open(workspace, work.id())?;
            work.notes = notes;
            Ok(false)
        }
        [id] => {
            batch.remote = Some(id.to_owned());
            workspace.set_label_batch(batch)?;
            Ok(true)
        }
        _ => Err(Error::setting(
            "It is not known whether a batch arrived",
            format!("the server has {} batches that it could be", candidates.len()),
            "Wait until they have ended, or forget this run and begin a new one",
        )),
    }
}

/// Fetches the results of a batch if it has ended; whether it has.
fn fetch(
    server: &Server<'_>,
    workspace: &mut Workspace,
    work: &mut Work,
    batch: &mut LabelBatch,
) -> Result<bool> {
    let Some(remote) = batch.remote.clone() else { return Ok(true) };
    let text = server.ask(work, Function::Batch(&remote), None, true)?;
    let value: Value = serde_json::from_str(&text).unwrap_or_default();
    batch.counts = Some(value["request_counts"].clone()).filter(|c| !c.is_null());
    match value["processing_status"].as_str() {
        Some("ended") => {}
        Some(_) => {
            workspace.set_label_batch(batch)?;
            return Ok(false);
        }
        None => {
            return Err(Error::format(
                "The batch cannot be fetched",
                "the server does not say whether it has ended",
                "Go on with the run later",
            ));
        }
    }
    let text = server.ask(work, Function::Results(&remote), None, true)?;
    let tag = format!("{}_", tag(workspace, work.id(), batch.id));
    let (mut damaged, mut foreign) = (0, 0);
    let mut open: HashSet<String> = work.unanswered(batch.id).into_iter().collect();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        server.ctx.check()?;
        let Ok(value) = serde_json::from_str::<Value>(line) else {
            damaged += 1;
            continue;
        };
        let Some(name) = value["custom_id"].as_str().and_then(|id| id.strip_prefix(&tag)) else {
            foreign += 1;
            continue;
        };
        if !open.remove(name) {
            // Twice in the results, or kept before the program ended.
            continue;
        }
        let outcome = outcome(work, &value["result"]);
        work.answered(workspace, name, outcome, 0)?;
    }
    if foreign > 0 && !open.is_empty() {
        batch.remote = None;
        workspace.set_label_batch(batch)?;
        return Err(Error::format(
            "The batch is another one",
            format!("{foreign} of its results are not of this run"),
            "Look at the server's list of batches, then go on with the run",
        ));
    }
    for name in open {
        let why = if damaged > 0 {
            format!("the results do not name it, and {damaged} lines of them are damaged")
        } else {
            "the results of its batch do not name it".to_owned()
        };
        work.answered(workspace, &name, Err(why), 0)?;
    }
    batch.ended = true;
    workspace.set_label_batch(batch)?;
    Ok(true)
}

/// What became of one request of a batch.
fn outcome(work: &Work, result: &Value) -> Result<super::endpoint::Reply, String> {
    match result["type"].as_str() {
        Some("succeeded") => reply(work.endpoint().protocol, &result["message"])
            .map_err(|why| format!("its answer is not what it should be: {why}")),
        Some("errored") => {
            let error = &result["error"];
            let said = error["error"]["message"].as_str().or(error["message"].as_str());
            Err(format!("the server failed: {}", said.unwrap_or("it did not say how")))
        }
        Some("canceled") => Err("the batch was canceled before it was its turn".into()),
        Some("expired") => Err("the batch expired before it was its turn".into()),
        other => Err(format!("its outcome is {other:?}, which this version does not know")),
    }
}

/// Tells requests of one batch from those of any other.
fn tag(workspace: &Workspace, run: LabelRunId, batch: i64) -> String {
    let text = format!("{} {run} {batch}", workspace.root().display());
    let hash = Sha256::digest(text.as_bytes());
    hash.iter().take(5).map(|byte| format!("{byte:02x}")).collect()
}

/// Seconds since 1970 of "2024-09-24T18:37:24.100435Z".
fn date(text: &str) -> Option<i64> {
    let number = |at: std::ops::Range<usize>| text.get(at)?.parse::<i64>().ok();
    let days = super::http::days(number(0..4)?, number(5..7)?, number(8..10)?);
    Some(days * 86_400 + number(11..13)? * 3600 + number(14..16)? * 60 + number(17..19)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read() {
        assert_eq!(date("2024-09-24T18:37:24.100435Z"), Some(1_727_203_044));
        assert_eq!(date("1970-01-01T00:00:01Z"), Some(1));
        assert_eq!(date("soon"), None);
    }
}
