use super::super::work::Asking;
use super::server::{Answer, Asked, message, perfect};
use super::*;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

/// What a server of batches holds: name, requests, whether it has ended.
type Held = Arc<Mutex<Vec<(String, Vec<Value>, bool)>>>;

/// What becomes of request `i` of a batch.
type Fate = dyn Fn(usize, &Value) -> Value + Send + Sync;

fn succeeded(request: &Value) -> Value {
    let params = &request["params"];
    json!({"type": "succeeded", "message": message(params, &perfect(params), (100, 10))})
}

/// A server of batches. `lose` is asked before each batch is answered.
fn server(held: &Held, fate: Arc<Fate>, lose: fn(usize) -> Option<Answer>) -> Server {
    let held = held.clone();
    Server::new(move |asked: &Asked, _| {
        let mut all = held.lock().unwrap();
        let counts = |n: usize, ended: bool| {
            let (left, done) = if ended { (0, n) } else { (n, 0) };
            json!({"processing": left, "succeeded": done, "errored": 0, "canceled": 0, "expired": 0})
        };
        let about = |(id, requests, ended): &(String, Vec<Value>, bool)| {
            json!({"id": id, "type": "message_batch",
                "processing_status": if *ended { "ended" } else { "in_progress" },
                "request_counts": counts(requests.len(), *ended),
                "created_at": "2099-01-01T00:00:00Z"})
        };
        let path: Vec<&str> = asked.path.trim_matches('/').split('/').skip(3).collect();
        match (asked.method.as_str(), &path[..]) {
            ("POST", []) => {
                let lost = lose(all.len());
                if matches!(lost, Some(Answer::Say(..))) {
                    return lost.unwrap();
                }
                let requests = asked.body["requests"].as_array().unwrap().clone();
                let id = format!("batch_{}", all.len());
                all.push((id, requests, false));
                lost.unwrap_or_else(|| Answer::json(&about(all.last().unwrap())))
            }
            ("GET", []) => {
                Answer::json(&json!({"data": all.iter().map(about).collect::<Vec<_>>()}))
            }
            ("GET", [id]) => Answer::json(&about(all.iter().find(|b| b.0 == *id).unwrap())),
            ("POST", [id, "cancel"]) => {
                let batch = all.iter_mut().find(|b| b.0 == *id).unwrap();
                batch.2 = true;
                Answer::json(&about(batch))
            }
            ("GET", [id, "results"]) => {
                let batch = all.iter().find(|b| b.0 == *id).unwrap();
                // Last first: any order will do.
                let lines = batch.1.iter().enumerate().rev().map(|(i, request)| {
                    let result = fate(i, request);
                    json!({"custom_id": request["custom_id"], "result": result}).to_string()
                });
                Answer::Say(200, vec![], lines.collect::<Vec<_>>().join("\n") + "\n")
            }
            other => panic!("{other:?}"),
        }
    })
}

fn finish(held: &Held) {
    held.lock().unwrap().iter_mut().for_each(|batch| batch.2 = true);
}

fn sent(held: &Held) -> Vec<usize> {
    held.lock().unwrap().iter().map(|batch| batch.1.len()).collect()
}

fn batch_run(bench: &mut Bench, url: &str, latents: &[u32]) -> LabelRunId {
    let mut request = bench.request(Protocol::Anthropic, url, latents);
    request.delivery = Delivery::Batch;
    bench.begin(&request)
}

#[test]
fn batches_are_sent_left_and_fetched_after_the_program_was_closed() {
    let held = Held::default();
    let server = server(&held, Arc::new(|_, r: &Value| succeeded(r)), |_| None);
    let mut bench = Bench::new();
    let id = batch_run(&mut bench, &server.url(), &[1, 2, 3]);
    let view = bench.run(id).unwrap().view;
    assert_eq!((view.status, sent(&held)), (LabelRunStatus::Waiting, vec![3]));
    assert_eq!(view.batches[0].remote.as_deref(), Some("batch_0"));
    let ids: Vec<Value> =
        held.lock().unwrap()[0].1.iter().map(|r| r["custom_id"].clone()).collect();
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    assert!(ids.iter().all(|id| id.as_str().is_some_and(|t| t.len() <= 64 && t.chars().all(fits))));
    // Not yet: nothing is sent twice, whatever happens to the program.
    for _ in 0..2 {
        bench.workspace = Workspace::open(bench.folder.path()).unwrap();
        assert_eq!(bench.run(id).unwrap().view.status, LabelRunStatus::Waiting);
    }
    assert_eq!(sent(&held), [3]);
    finish(&held);
    let view = bench.run(id).unwrap().view;
    assert_eq!((view.status, sent(&held)), (LabelRunStatus::Waiting, vec![3, 3 * (EACH - 1)]));
    assert_eq!(bench.workspace.labels(bench.sae).unwrap().len(), 3, "labels are there already");
    finish(&held);
    let done = bench.run(id).unwrap().view;
    assert_eq!((done.status, sent(&held).len()), (LabelRunStatus::Done, 2));
    assert!(done.batches.iter().all(|b| b.ended));
    assert_eq!(done.spent.input_tokens, 3 * EACH as u64 * 100);
    for label in bench.workspace.labels(bench.sae).unwrap() {
        let scores = label.scores.unwrap();
        assert_eq!(scores.detection.unwrap().balanced_accuracy(), Some(1.0));
        assert_eq!(scores.fuzzing.unwrap().balanced_accuracy(), Some(1.0));
    }
}

#[test]
fn every_fate_of_a_request_is_told_and_asked_again_only_when_wanted() {
    let held = Held::default();
    let fate = |i: usize, request: &Value| match i {
        0 => {
            json!({"type": "errored", "error": {"type": "error", "error": {"message": "too odd"}}})
        }
        1 => json!({"type": "canceled"}),
        2 => json!({"type": "expired"}),
        3 => json!({"type": "melted"}),
        4 => json!({"type": "succeeded", "message": {"content": "no list"}}),
        _ => succeeded(request),
    };
    let first = server(&held, Arc::new(fate), |_| None);
    let mut bench = Bench::new();
    let id = batch_run(&mut bench, &first.url(), &[1, 2, 3, 4, 5, 6]);
    bench.run(id).unwrap();
    finish(&held);
    let view = bench.run(id).unwrap().view;
    let failures: Vec<String> = view.latents.iter().flat_map(|l| l.failures.clone()).collect();
    for (failure, word) in
        failures.iter().zip(["too odd", "canceled", "expired", "melted", "no content"])
    {
        assert!(failure.contains(word), "{failure}");
    }
    assert_eq!(failures.len(), 5);
    assert_eq!(view.latents[5].label.as_deref(), Some("alpha6x"));
    // What failed is not sent again at once: only the sixth is judged.
    assert_eq!(sent(&held), [6, EACH - 1]);
    assert_eq!(view.status, LabelRunStatus::Waiting);
    finish(&held);
    let view = bench.run(id).unwrap().view;
    assert_eq!(sent(&held), [6, EACH - 1, 5], "taking the run up again asks what came to nothing");
    assert_eq!(view.status, LabelRunStatus::Waiting);
}

#[test]
fn a_batch_whose_sending_was_interrupted_is_neither_lost_nor_sent_twice() {
    // The server has it, and its answer is lost.
    let held = Held::default();
    let lose: fn(usize) -> Option<Answer> = |n| (n == 0).then_some(Answer::Close);
    let first = server(&held, Arc::new(|_, r: &Value| succeeded(r)), lose);
    let mut bench = Bench::new();
    let id = batch_run(&mut bench, &first.url(), &[1, 2]);
    let error = bench.run(id).unwrap_err();
    assert!(error.what.contains("not known whether a batch arrived"), "{error}");
    assert_eq!((sent(&held), bench.view(id).batches[0].remote.clone()), (vec![2], None));
    bench.workspace = Workspace::open(bench.folder.path()).unwrap();
    let view = bench.run(id).unwrap().view;
    assert_eq!(view.batches[0].remote.as_deref(), Some("batch_0"), "it was found there");
    assert_eq!(sent(&held), [2]);
    finish(&held);
    bench.run(id).unwrap();
    assert_eq!(bench.workspace.labels(bench.sae).unwrap().len(), 2);

    // The program ended before the server had it.
    let mut bench = Bench::new();
    let held = Held::default();
    let second = server(&held, Arc::new(|_, r: &Value| succeeded(r)), |_| None);
    let id = batch_run(&mut bench, &second.url(), &[1, 2]);
    let mut calls = vec![
        Asking {
            name: "1-write".into(),
            latent: 1,
            prompt: material(1, &Counts { shown: 6, fires: 8, silent: 8, per_question: 4 }).write(),
            expected: vec![],
            tokens: 1,
            note: None,
        }
        .sent(),
    ];
    bench.workspace.begin_label_batch(id, &mut calls).unwrap();
    let view = bench.run(id).unwrap().view;
    assert_eq!((sent(&held), view.status), (vec![2], LabelRunStatus::Waiting));
    assert_eq!(view.batches.len(), 1);
}

#[test]
fn a_refused_batch_is_not_waited_for() {
    let held = Held::default();
    let lose: fn(usize) -> Option<Answer> = |_| Some(Answer::error(400, "model: unknown model"));
    let refusing = server(&held, Arc::new(|_, r: &Value| succeeded(r)), lose);
    let mut bench = Bench::new();
    let id = batch_run(&mut bench, &refusing.url(), &[1]);
    let error = bench.run(id).unwrap_err();
    assert!(error.what.contains("does not know labeller-1"), "{error}");
    let view = bench.view(id);
    assert_eq!((view.status, view.batches.len()), (LabelRunStatus::Stopped, 0));
}

#[test]
fn results_that_are_damaged_or_another_run_s_are_said() {
    let held = Held::default();
    let server = Server::new({
        let held = held.clone();
        move |asked: &Asked, _| match (asked.method.as_str(), asked.path.ends_with("results")) {
            ("POST", _) => {
                let requests = asked.body["requests"].as_array().unwrap().clone();
                held.lock().unwrap().push(("b".into(), requests, true));
                Answer::json(&json!({"id": "b"}))
            }
            (_, true) => {
                let all = held.lock().unwrap();
                let line = json!({"custom_id": all[0].1[0]["custom_id"], "result": succeeded(&all[0].1[0])});
                Answer::Say(200, vec![], format!("{line}\n{line}\n{{\"custom_id\": \"half"))
            }
            _ => Answer::json(&json!({"id": "b", "processing_status": "ended"})),
        }
    });
    let mut bench = Bench::new();
    let id = batch_run(&mut bench, &server.url(), &[1, 2]);
    bench.run(id).unwrap();
    bench.run(id).unwrap();
    let view = bench.view(id);
    assert_eq!(view.latents[0].label.as_deref(), Some("alpha1x"));
    assert!(view.latents[1].failures[0].contains("damaged"), "{view:?}");
}

#[test]
fn a_batch_can_be_called_back_and_what_it_brought_is_kept() {
    let held = Held::default();
    let fate =
        |i: usize, r: &Value| if i == 0 { succeeded(r) } else { json!({"type": "canceled"}) };
    let server = server(&held, Arc::new(fate), |_| None);
    let mut bench = Bench::new();
    let id = batch_run(&mut bench, &server.url(), &[1, 2]);
    bench.run(id).unwrap();
    let ctx = JobContext::unwatched();
    let n = cancel_batches(&ctx, &mut bench.workspace, id, &IdleClock::default()).unwrap();
    assert_eq!(n, 1);
    bench.run(id).unwrap();
    assert_eq!(bench.workspace.labels(bench.sae).unwrap().len(), 1);
    let openai = LabelRequest {
        delivery: Delivery::Batch,
        ..bench.request(Protocol::OpenAi, &server.url(), &[1])
    };
    assert_eq!(openai.delivery, Delivery::Batch);
}
