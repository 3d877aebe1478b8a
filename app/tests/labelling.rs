//! Labels by a language model from the window: the cost is shown, agreed to, and only then is
//! anything sent, to a real server on loopback.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on must end")]

mod headless;

use egui::{Theme, vec2};
use egui_kittest::kittest::Queryable as _;
use headless::{wait, window};
use serde_json::{Value, json};
use sparsescope::app::Sparsescope;
use sparsescope::commands::Command;
use sparsescope::state::Screen;
use sparsescope_core::activations::LiveSource;
use sparsescope_core::demo::{self, TourRequest};
use sparsescope_core::device;
use sparsescope_core::features::{CollectSpec, collect};
use sparsescope_core::jobs::JobContext;
use sparsescope_core::labels::LabelRunStatus;
use sparsescope_core::training::train;
use sparsescope_core::workspace::{NewRun, SaeId, Workspace};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Answers every chat: the label is always the same, and so is the judgement.
fn serve(counted: Arc<AtomicUsize>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let counted = counted.clone();
            std::thread::spawn(move || answer(stream.unwrap(), &counted));
        }
    });
    format!("http://{address}/v1")
}

fn answer(mut stream: TcpStream, counted: &AtomicUsize) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if let Some(n) = line.to_lowercase().strip_prefix("content-length:") {
            length = n.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let body: Value = serde_json::from_slice(&body)?;
    counted.fetch_add(1, Ordering::SeqCst);
    let user = body["messages"][1]["content"].as_str().unwrap_or_default();
    let asked = user.lines().filter(|line| line.starts_with("Passage ")).count();
    let text = if user.starts_with("Description") {
        format!("{:?}", vec![1; asked])
    } else {
        "{\"label\": \"a word of the world\"}".to_owned()
    };
    let reply = json!({"model": body["model"], "choices": [{"message": {"content": text}}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 10}})
    .to_string();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{reply}",
        reply.len()
    )
}

/// A dictionary of the built-in model, trained for a moment, with features.
fn small_dictionary(folder: &Path) -> SaeId {
    let model = demo::model(&device::choose("cpu").unwrap()).unwrap();
    let mut db = Workspace::open(folder).unwrap();
    let request = TourRequest {
        latents: 64,
        k: 8,
        tokens: 8192,
        collect_tokens: 4000,
        ..TourRequest::new(folder)
    };
    let stream = request.stream(&model);
    let run = db
        .begin_run(&NewRun {
            model: model.hash().to_owned(),
            site: request.site,
            width: model.config().width,
            corpus: stream.corpus.to_string(),
            config: request.train_config(),
            request: Value::Null,
        })
        .unwrap();
    let (id, dir) = (run.id, run.dir.clone());
    let mut source = LiveSource::new(model.clone(), stream.clone()).unwrap();
    let sae =
        train(&JobContext::unwatched(), &mut source, None, &request.train_config(), &dir, false)
            .unwrap();
    db.finish_run(run, &Ok(())).unwrap();
    let spec = CollectSpec {
        tokens: request.collect_tokens,
        ..CollectSpec::new(stream.corpus, stream.rows)
    };
    let out = db.sae(id).unwrap().features_path();
    collect(&JobContext::<()>::unwatched(), &model, &sae, &spec, &out).unwrap();
    db.keep_features(id).unwrap();
    id
}

#[test]
fn latents_are_labelled_after_the_cost_was_agreed_to() {
    let dir = tempfile::tempdir().unwrap();
    let id = small_dictionary(dir.path());
    let counted = Arc::new(AtomicUsize::new(0));
    let url = serve(counted.clone());
    let mut harness = window(dir.path(), vec2(1280.0, 900.0), 1.0, Theme::Dark);
    wait(&mut harness, "the first jobs", 60, Sparsescope::is_idle);
    harness.state().ask(Command::OpenSae(id));
    wait(&mut harness, "the features", 60, |app| app.state().features.table.is_some());
    harness.state().ask(Command::Go(Screen::Labels));
    let form = &mut harness.state_mut().forms_mut().labels;
    form.url = url;
    form.model = "labeller".into();
    form.keyed = false;
    form.most = 3;
    form.limits.tokens_a_minute = 10_000_000;
    form.limits.requests_a_minute = 10_000;
    harness.run_steps(3);
    harness.get_by_label("What would 3 labels cost?").click();
    wait(&mut harness, "the estimate", 60, |app| app.state().labels.planned.is_some());
    assert_eq!(counted.load(Ordering::SeqCst), 0, "nothing is sent before it is agreed to");
    let estimate = harness.state().state().labels.planned.as_ref().unwrap().estimate.clone();
    assert_eq!((estimate.latents, estimate.cost), (3, Some(0.0)));
    harness.run_steps(3);
    harness.get_by_label("Send, for $0.00 at most").click();
    wait(&mut harness, "the labels", 60, |app| {
        app.is_idle()
            && app.state().features.labels.iter().filter(|l| l.scores.is_some()).count() == 3
    });
    assert_eq!(counted.load(Ordering::SeqCst) as u64, estimate.requests);
    let state = harness.state().state();
    assert_eq!(state.labels.runs[0].status, LabelRunStatus::Done);
    assert_eq!(state.labels.runs[0].spent.input_tokens, 100 * estimate.requests);
    for label in &state.features.labels {
        assert_eq!(label.text, "a word of the world");
        let detection = label.scores.as_ref().unwrap().detection.unwrap();
        assert_eq!(detection.balanced_accuracy(), Some(0.5), "it always says yes");
    }
}
