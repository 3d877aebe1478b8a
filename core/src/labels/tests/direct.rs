use super::server::{Answer, judge, message, perfect};
use super::*;
use serde_json::json;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

fn good(asked: &server::Asked) -> Answer {
    Answer::json(&message(&asked.body, &perfect(&asked.body), (500, 20)))
}

fn accuracy(judged: Option<Judged>) -> f64 {
    judged.unwrap().balanced_accuracy().unwrap()
}

#[test]
fn a_perfect_labeller_scores_one_over_both_protocols() {
    for protocol in [Protocol::OpenAi, Protocol::Anthropic] {
        let server = Server::new(|asked, _| good(asked));
        let mut bench = Bench::new();
        let request = bench.request(protocol, &server.url(), &[3, 17]);
        let id = bench.begin(&request);
        let done = bench.run(id).unwrap().view;
        assert_eq!((done.status, done.failure), (LabelRunStatus::Done, None));
        assert_eq!(server.count(), 2 * EACH);
        assert_eq!(done.confirmed.requests, 2 * EACH as u64);
        assert_eq!(done.spent.requests, 2 * EACH as u64);
        assert_eq!(done.spent.input_tokens, 2 * EACH as u64 * 500);
        assert_eq!(done.spent.cost, Some(0.0), "this machine, no key");
        let labels = bench.workspace.labels(bench.sae).unwrap();
        let texts: Vec<_> = labels.iter().map(|l| (l.latent, l.text.as_str())).collect();
        assert_eq!(texts, [(3, "alpha3x"), (17, "alpha17x")]);
        for label in &labels {
            let scores = label.scores.clone().unwrap();
            assert_eq!(accuracy(scores.detection), 1.0);
            assert_eq!(accuracy(scores.fuzzing), 1.0);
            assert_eq!(scores.detection.unwrap().answered(), 16);
            assert_eq!(scores.fuzzing.unwrap().answered(), 8);
            let from = LabelSource::Model { endpoint: server.url(), model: "labeller-1".into() };
            assert_eq!(label.source, from);
        }
        // Run again: nothing is left to ask.
        bench.run(id).unwrap();
        assert_eq!(server.count(), 2 * EACH);
    }
}

#[test]
fn a_judge_that_always_says_the_same_scores_a_half() {
    for says in [true, false] {
        let server = Server::new(move |asked, _| {
            let (system, user) = asked.parts();
            let text = if system.contains("\"label\"") {
                perfect(&asked.body)
            } else {
                judge(&user, |_| says)
            };
            Answer::json(&message(&asked.body, &text, (1, 1)))
        });
        let mut bench = Bench::new();
        let request = bench.request(Protocol::OpenAi, &server.url(), &[5]);
        let id = bench.begin(&request);
        bench.run(id).unwrap();
        let scores = bench.workspace.label(bench.sae, 5).unwrap().unwrap().scores.unwrap();
        assert_eq!((accuracy(scores.detection), accuracy(scores.fuzzing)), (0.5, 0.5));
        let f1 = scores.detection.unwrap().f1().unwrap();
        assert_eq!(f1, if says { 16.0 / 24.0 } else { 0.0 });
    }
}

#[test]
fn what_fails_for_a_while_is_asked_again() {
    let faults: [fn(&server::Asked) -> Answer; 6] = [
        |_| Answer::Say(429, vec![("retry-after", "30".into())], "{}".into()),
        |_| Answer::error(500, "oh"),
        |_| Answer::error(529, "overloaded"),
        |_| Answer::Say(200, vec![], "{\"choices\": [{\"mess".into()),
        |_| Answer::BreakOff("{\"choi".into()),
        |_| Answer::Close,
    ];
    // Requests that the server may have billed although their answer was lost.
    let lost = std::sync::Arc::new(std::sync::Mutex::new(std::collections::HashSet::new()));
    let server = Server::new({
        let lost = lost.clone();
        move |asked, n| match faults.get(n / 2) {
            Some(fault) if n % 2 == 0 => {
                if n / 2 >= 3 {
                    lost.lock().unwrap().insert(asked.parts());
                }
                fault(asked)
            }
            _ => good(asked),
        }
    });
    let mut bench = Bench::new();
    let mut request = bench.request(Protocol::OpenAi, &server.url(), &[1, 2]);
    request.limits.at_once = 1;
    let id = bench.begin(&request);
    let clock = IdleClock::default();
    let done = run(&JobContext::unwatched(), &mut bench.workspace, id, &clock).unwrap().view;
    assert_eq!(done.status, LabelRunStatus::Done);
    assert_eq!(server.count(), 2 * EACH + 6);
    assert!(clock.now() >= Duration::from_secs(30), "the server asked for it: {:?}", clock.now());
    let lost = lost.lock().unwrap().len() as u64;
    assert!((1..=3).contains(&lost));
    assert_eq!(done.spent.unsure, lost, "truncated, broken off, closed: it may bill them twice");
    assert_eq!(accuracy(done.latents[0].scores.detection), 1.0);
}

#[test]
fn the_limits_of_requests_and_tokens_a_minute_are_kept() {
    let server = Server::new(|asked, _| good(asked));
    let mut bench = Bench::new();
    let mut request = bench.request(Protocol::OpenAi, &server.url(), &[1, 2]);
    request.limits.requests_a_minute = 5;
    let id = bench.begin(&request);
    let clock = IdleClock::default();
    run(&JobContext::unwatched(), &mut bench.workspace, id, &clock).unwrap();
    let minutes = clock.now().as_secs() / 60;
    assert_eq!(minutes, 2, "14 requests at 5 a minute: the last after two minutes");
}

#[test]
fn a_server_that_is_too_slow_is_given_up() {
    let server = Server::new(|asked, n| match n {
        0 => Answer::Slow(Duration::from_secs(3)),
        _ => good(asked),
    });
    let mut bench = Bench::new();
    let mut request = bench.request(Protocol::OpenAi, &server.url(), &[1]);
    request.limits.patience = 1;
    let id = bench.begin(&request);
    let done = bench.run(id).unwrap().view;
    assert_eq!((done.status, done.spent.unsure), (LabelRunStatus::Done, 1));
}

/// Runs into `answer` on the third request; what was done before is kept, and going on asks the rest.
fn breaks_off_and_goes_on(answer: fn() -> Answer, why: &[&str]) {
    let broken = std::sync::Arc::new(AtomicUsize::new(1));
    let server = Server::new({
        let broken = broken.clone();
        move |asked, n| match n {
            n if n >= 2 && broken.load(Ordering::SeqCst) == 1 => answer(),
            _ => good(asked),
        }
    });
    let mut bench = Bench::new();
    let mut request = bench.request(Protocol::OpenAi, &server.url(), &[1, 2]);
    request.limits = Limits { at_once: 1, tries: 2, ..request.limits };
    let id = bench.begin(&request);
    let error = bench.run(id).unwrap_err();
    for word in why {
        assert!(error.to_string().contains(word), "{error}");
    }
    let view = bench.view(id);
    assert_eq!(view.status, LabelRunStatus::Stopped);
    assert!(view.failure.is_some());
    assert_eq!(view.latents[0].label.as_deref(), Some("alpha1x"), "what was done is kept");
    let paid = view.spent.requests;
    assert_eq!(paid, 2);
    broken.store(0, Ordering::SeqCst);
    let before = server.count();
    let done = bench.run(id).unwrap().view;
    assert_eq!(done.status, LabelRunStatus::Done);
    assert_eq!(server.count() - before, 2 * EACH - 2, "only the rest is asked");
    assert_eq!(accuracy(done.latents[1].scores.fuzzing), 1.0);
}

#[test]
fn a_refused_key_an_unknown_model_and_an_empty_account_stop_the_run() {
    breaks_off_and_goes_on(|| Answer::error(401, "no"), &["asks for a key"]);
    breaks_off_and_goes_on(
        || Answer::error(404, "The model `x` does not exist"),
        &["labeller-1", "does not exist"],
    );
    breaks_off_and_goes_on(|| Answer::error(400, "Unknown model"), &["does not know labeller-1"]);
    breaks_off_and_goes_on(|| Answer::error(402, "pay"), &["paid first"]);
    breaks_off_and_goes_on(|| Answer::error(429, "You exceeded your current quota"), &["credit"]);
    breaks_off_and_goes_on(
        || Answer::error(400, "bad thing"),
        &["3 requests in a row", "bad thing"],
    );
    breaks_off_and_goes_on(|| Answer::error(503, "busy"), &["3 requests in a row", "2 tries"]);
    breaks_off_and_goes_on(
        || Answer::Say(302, vec![("location", "http://x".into())], String::new()),
        &["elsewhere"],
    );
    breaks_off_and_goes_on(|| Answer::json(&json!({"hello": 1})), &["no choices"]);
}

#[test]
fn a_server_that_is_down_is_said_and_nothing_is_lost() {
    // Not the port of a server that has ended: another test's may get it meanwhile.
    let url = "http://127.0.0.1:1".to_owned();
    let mut bench = Bench::new();
    let request = bench.request(Protocol::Anthropic, &url, &[1]);
    let id = bench.begin(&request);
    let error = bench.run(id).unwrap_err();
    assert!(error.what.contains("Nobody answers") && error.what.contains(&url), "{error}");
    assert!(error.remedy.contains("Start the server"), "{error}");
    assert_eq!(bench.view(id).spent.requests, 0);
}

#[test]
fn prose_is_counted_and_said() {
    let server = Server::new(|asked, _| {
        let (system, user) = asked.parts();
        let text = match perfect(&asked.body) {
            text if system.contains("\"label\"") => text,
            // One question of detection in prose, one with an answer too few.
            _ if user.contains("Passage 1: Text 1") => "They all look fine to me.".to_owned(),
            text => text,
        };
        Answer::json(&message(&asked.body, &text, (9, 9)))
    });
    let mut bench = Bench::new();
    let request = bench.request(Protocol::OpenAi, &server.url(), &[1]);
    let id = bench.begin(&request);
    let done = bench.run(id).unwrap().view;
    assert_eq!(done.status, LabelRunStatus::Done);
    let scores = &done.latents[0].scores;
    let (d, f) = (scores.detection.unwrap(), scores.fuzzing.unwrap());
    assert!(d.unparsed + f.unparsed > 0 && (d.unparsed + f.unparsed) % 4 == 0);
    assert_eq!(d.answered() + d.unparsed + f.answered() + f.unparsed, 24, "none is dropped");
    assert!(done.latents[0].failures[0].contains("They all look fine"));
    assert_eq!(server.count(), EACH, "an answer that was paid for is not bought again");
    bench.run(id).unwrap();
    assert_eq!(server.count(), EACH);

    let server = Server::new(|asked, _| {
        Answer::json(&message(&asked.body, "I'm sorry, I cannot help.", (9, 9)))
    });
    let request = bench.request(Protocol::OpenAi, &server.url(), &[2]);
    let id = bench.begin(&request);
    let done = bench.run(id).unwrap().view;
    assert_eq!(done.latents[0].label, None);
    assert!(done.latents[0].failures[0].contains("I'm sorry"));
    assert_eq!(server.count(), 1, "what has no label is not judged");
}

#[test]
fn a_server_that_wants_other_words_gets_them() {
    let server = Server::new(|asked, _| {
        if asked.body["max_tokens"].is_number() {
            return Answer::error(400, "Use 'max_completion_tokens' instead of 'max_tokens'");
        }
        if asked.body["temperature"].is_number() {
            return Answer::error(400, "'temperature' does not support 0 with this model");
        }
        good(asked)
    });
    let mut bench = Bench::new();
    let mut request = bench.request(Protocol::OpenAi, &server.url(), &[1]);
    request.limits.at_once = 1;
    let id = bench.begin(&request);
    assert_eq!(bench.run(id).unwrap().view.status, LabelRunStatus::Done);
    assert_eq!(server.count(), EACH + 2);
}

#[test]
fn nothing_is_sent_that_was_not_confirmed() {
    let server = Server::new(|asked, _| good(asked));
    let mut bench = Bench::new();
    let mut request = bench.request(Protocol::OpenAi, &server.url(), &[1, 2]);
    set_price(&bench.workspace, "labeller-1", Some(Price::new(2.0, 10.0).unwrap())).unwrap();
    let prepared = bench.prepare(&request);
    let e = prepared.estimate().clone();
    let cost = (2.0 * e.input_tokens as f64 + 10.0 * e.output_tokens as f64) / 1e6;
    assert!((e.cost.unwrap() - cost).abs() < 1e-12);
    assert!(e.confirm(Agreed::Amount(cost * 0.99)).unwrap_err().why.contains("agreed"));
    assert!(e.confirm(Agreed::UnknownPrice).is_err());
    let confirmed = e.confirm(Agreed::Amount(cost)).unwrap();
    request.latents.push(3);
    let more = bench.prepare(&request);
    assert!(begin(&mut bench.workspace, &more, &confirmed).is_err(), "another estimate");
    set_price(&bench.workspace, "labeller-1", None).unwrap();
    assert_eq!(bench.prepare(&request).estimate().cost, Some(0.0), "this machine, no key");
    request.endpoint.url = "https://example.com/v1".into();
    let unknown = bench.prepare(&request);
    assert_eq!(unknown.estimate().cost, None);
    assert!(unknown.estimate().confirm(Agreed::Amount(1e9)).is_err());
    unknown.estimate().confirm(Agreed::UnknownPrice).unwrap();
    assert_eq!(server.count(), 0);
    assert!(Price::new(-1.0, 0.0).is_err() && Price::new(f64::NAN, 0.0).is_err());
}

#[test]
fn a_server_that_bills_more_than_was_confirmed_is_asked_no_more() {
    let server = Server::new(|asked, _| {
        Answer::json(&message(&asked.body, &perfect(&asked.body), (1_000_000, 20)))
    });
    let mut bench = Bench::new();
    set_price(&bench.workspace, "labeller-1", Some(Price::new(1.0, 1.0).unwrap())).unwrap();
    let mut request = bench.request(Protocol::OpenAi, &server.url(), &[1, 2, 3]);
    request.limits.at_once = 1;
    let id = bench.begin(&request);
    let error = bench.run(id).unwrap_err();
    assert!(error.what.contains("before it costs more"), "{error}");
    assert_eq!(server.count(), 1);
    assert_eq!(bench.view(id).spent.cost.map(|c| c.round()), Some(1.0));
    bench.run(id).unwrap_err();
    assert_eq!(server.count(), 1, "nor when it is taken up again");
}

#[test]
fn a_run_that_is_stopped_pays_only_for_the_rest() {
    let server = Server::new(|asked, n| match n {
        5.. => Answer::Slow(Duration::from_millis(1500)),
        _ => good(asked),
    });
    let mut bench = Bench::new();
    let mut request = bench.request(Protocol::OpenAi, &server.url(), &[1, 2]);
    request.limits.at_once = 1;
    let id = bench.begin(&request);
    let root = bench.workspace.root().to_owned();
    let job = crate::jobs::spawn("label", std::sync::Arc::new(|| {}), {
        let root = root.clone();
        move |ctx: &JobContext<LabelNews>| {
            run(ctx, &mut Workspace::open(&root)?, id, &IdleClock::default())
        }
    });
    while server.count() < 6 {
        std::thread::sleep(Duration::from_millis(2));
    }
    // Meanwhile nobody else may work at it.
    assert!(bench.run(id).unwrap_err().what.contains("in use"));
    let since = std::time::Instant::now();
    job.cancel("enough");
    assert!(job.wait(|_, _| {}).unwrap_err().is_cancelled());
    assert!(since.elapsed() < Duration::from_millis(1000), "it does not wait for the server");
    let view = bench.view(id);
    assert_eq!((view.status, view.spent.requests), (LabelRunStatus::Stopped, 5));
    let second = Server::new(|asked, _| good(asked));
    // The same server under another port: only the address differs.
    let text = serde_json::to_string(&bench.workspace.label_run(id).unwrap().request).unwrap();
    let moved = text.replace(&server.url(), &second.url());
    let db = rusqlite::Connection::open(root.join(crate::workspace::DATABASE)).unwrap();
    db.execute("UPDATE label_runs SET request = ?1", [moved]).unwrap();
    let done = bench.run(id).unwrap().view;
    assert_eq!(done.status, LabelRunStatus::Done);
    assert_eq!(second.count(), 2 * EACH - 5);
    assert_eq!(done.spent.unsure, 1, "the one under way when it was stopped may be billed twice");
}

#[test]
fn a_key_is_sent_and_stands_nowhere_else() {
    let server = Server::new(|asked, n| match n {
        // A server that repeats the key.
        0 => Answer::error(400, &format!("bad header {KEY}")),
        1 => Answer::error(401, &format!("Incorrect API key provided: {KEY}")),
        2 => Answer::error(500, &format!("died of {KEY}")),
        _ => {
            assert_eq!(asked.headers["x-api-key"], KEY);
            assert_eq!(asked.headers["anthropic-version"], "2023-06-01");
            good(asked)
        }
    });
    // SAFETY: no other test reads or writes this variable.
    #[allow(unsafe_code)]
    unsafe {
        std::env::set_var(KEY_NAME, format!(" {KEY}\n"));
    }
    let mut bench = Bench::new();
    let mut request = bench.request(Protocol::Anthropic, &server.url(), &[1]);
    request.endpoint.key = KeySource::Named(KEY_NAME.into());
    request.limits = Limits { at_once: 1, tries: 1, ..request.limits };
    let id = bench.begin(&request);
    let mut said = String::new();
    for _ in 0..2 {
        match bench.run(id) {
            Ok(done) => said += &format!("{done:?}"),
            Err(e) => said += &text_of(&e),
        }
        said += &format!("{:?}", bench.view(id));
    }
    assert!(said.contains(KEY_NAME), "the key is named: {said}");
    let done = bench.run(id).map(|d| d.view.status);
    said += &format!("{done:?}");
    while server.count() < 10 && bench.run(id).is_err() {}
    assert!(!said.contains(KEY), "{said}");
    drop(bench.workspace);
    let mut files = vec![bench.folder.path().to_owned()];
    let mut looked = 0;
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(std::fs::read_dir(path).unwrap().map(|e| e.unwrap().path()));
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        let found = bytes.windows(KEY.len()).any(|w| w == KEY.as_bytes());
        assert!(!found, "the key stands in {}", path.display());
        looked += 1;
    }
    assert!(looked >= 2, "database and questions");
}
