use super::*;
use crate::activations::testing::{text_file, tiny_model, tiny_sae};
use crate::corpus::{CorpusSpec, RowSpec};
use crate::error::{Error, ErrorKind, Result};
use crate::evaluation::{Evaluation, LossRecovered};
use crate::features::{CollectSpec, collect};
use crate::jobs::JobContext;
use crate::llama::Site;
use crate::sae::Architecture;
use crate::training::{TrainConfig, TrainPoint};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use tempfile::{TempDir, tempdir};

fn new_run() -> NewRun {
    NewRun {
        model: "abc".into(),
        site: Site::Resid(2),
        width: 128,
        corpus: "builtin".into(),
        config: TrainConfig::preset(Architecture::TopK { k: 16 }, 1024),
        request: serde_json::json!({"model": "/m"}),
    }
}

fn point(step: u64) -> TrainPoint {
    TrainPoint { step, tokens: step * 100, loss: 1.0 / step as f64, ..TrainPoint::default() }
}

fn evaluation() -> Evaluation {
    Evaluation {
        sample: None,
        tokens: 1000,
        corpus: "builtin".into(),
        seed: 1,
        l0: 16.0,
        mse: 0.1,
        fvu: 1.0 / 3.0,
        fvu_per_token: 0.3,
        gamma: 0.99,
        dead: 0.0,
        loss: Some(LossRecovered::new(2.0, 2.5, 4.0)),
        density: vec![0.5, 0.1],
    }
}

fn open() -> (TempDir, Workspace) {
    let folder = tempdir().unwrap();
    let workspace = Workspace::open(folder.path()).unwrap();
    (folder, workspace)
}

#[test]
fn what_is_saved_is_there_after_reopening() {
    let (folder, mut w) = open();
    let run = w.begin_run(&new_run()).unwrap();
    assert!(run.dir.is_dir());
    let id = run.id;
    w.record_points(id, &[point(1), point(2)]).unwrap();
    w.record_points(id, &[point(3)]).unwrap();
    w.save_evaluation(id, &evaluation()).unwrap();
    assert!(w.keep_features(id).is_err(), "none were collected");
    let (model, sae) = (tiny_model(), tiny_sae(&[16, 24]));
    let corpus = CorpusSpec::File(text_file(folder.path(), 5));
    let rows = RowSpec { length: 16, ..RowSpec::default() };
    let spec = CollectSpec { site: Some(Site::Resid(0)), ..CollectSpec::new(corpus, rows) };
    let path = w.sae(id).unwrap().features_path();
    let table = collect(&JobContext::<()>::unwatched(), &model, &sae, &spec, &path).unwrap();
    w.keep_features(id).unwrap();
    w.finish_run(run, &Ok(())).unwrap();
    w.remember_model("abc", folder.path(), "A model").unwrap();
    w.set_setting("theme", &"dark").unwrap();
    w.set_setting("theme", &"light").unwrap();
    drop(w);

    let w = Workspace::open(folder.path()).unwrap();
    let record = &w.list_saes().unwrap()[0];
    assert_eq!(record, &w.sae(id).unwrap());
    assert_eq!((record.status, record.tokens_done), (RunStatus::Done, record.tokens_total));
    assert_eq!(record.config, Some(new_run().config));
    assert_eq!((record.site, record.width, record.latents), (Site::Resid(2), 128, 1024));
    assert_eq!(record.request["model"], "/m");
    assert_eq!(record.evaluation, Some(evaluation()));
    assert_eq!(w.load_features(id).unwrap(), Some(table));
    assert_eq!(w.history(id).unwrap(), [point(1), point(2), point(3)]);
    assert_eq!(w.recent_models(5).unwrap()[0].name, "A model");
    assert_eq!(w.known_model("abc").unwrap().unwrap().path, folder.path());
    assert_eq!(w.setting::<String>("theme").unwrap().as_deref(), Some("light"));
    assert_eq!(w.setting::<u32>("theme").unwrap(), None);
    assert_eq!(w.setting::<u32>("nothing").unwrap(), None);
}

#[test]
fn a_resumed_run_tells_its_curve_again_from_the_checkpoint() {
    let (_folder, mut w) = open();
    let run = w.begin_run(&new_run()).unwrap();
    let id = run.id;
    w.record_points(id, &(1..=9).map(point).collect::<Vec<_>>()).unwrap();
    let stopped: Result<()> = Err(Error::cancelled("the user stopped it"));
    w.finish_run(run, &stopped).unwrap();
    assert_eq!(w.interrupted_runs().unwrap()[0].id, id);
    let run = w.resume_run(id).unwrap();
    assert!(w.interrupted_runs().unwrap().is_empty());
    w.record_points(id, &[point(6), point(8)]).unwrap();
    let steps: Vec<u64> = w.history(id).unwrap().iter().map(|p| p.step).collect();
    assert_eq!(steps, [1, 2, 3, 4, 5, 6, 8]);
    let failed: Result<()> = Err(Error::internal("Training broke off", "NaN"));
    w.finish_run(run, &failed).unwrap();
    let record = w.sae(id).unwrap();
    assert_eq!(record.status, RunStatus::Failed);
    assert!(record.failure.unwrap().contains("NaN"));
}

#[test]
fn two_programs_share_a_workspace_but_not_a_run() {
    let (folder, mut a) = open();
    let mut b = Workspace::open(folder.path()).unwrap();
    let run = a.begin_run(&new_run()).unwrap();
    let seen = &b.list_saes().unwrap()[0];
    assert_eq!((seen.id, seen.status), (run.id, RunStatus::Training));
    let error = b.resume_run(run.id).unwrap_err();
    assert!(error.to_string().contains("in use"), "{error}");
    assert!(b.delete_sae(run.id).is_err());
    // Both write at once, from threads of their own.
    let second = b.begin_run(&new_run()).unwrap();
    std::thread::scope(|s| {
        for (w, id) in [(&mut a, run.id), (&mut b, second.id)] {
            s.spawn(move || (1..=50).for_each(|i| w.record_points(id, &[point(i)]).unwrap()));
        }
    });
    assert_eq!(a.history(second.id).unwrap().len(), 50);
    // A program that is gone holds nothing.
    drop(run);
    drop(a);
    assert_eq!(b.interrupted_runs().unwrap().len(), 1);
    drop(second);
    let (first, second) = (b.list_saes().unwrap()[1].id, b.list_saes().unwrap()[0].id);
    b.delete_sae(first).unwrap();
    assert!(!folder.path().join("saes/0001-topk-resid.2").exists());
    assert_eq!(b.list_saes().unwrap().len(), 1);
    assert_eq!(b.history(first).unwrap(), []);
    assert_eq!(b.history(second).unwrap().len(), 50);
    assert_eq!(b.sae(first).unwrap_err().kind, ErrorKind::Setting);
}

#[test]
fn a_folder_that_cannot_be_used_is_named_with_the_reason() {
    let folder = tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "x").unwrap();
    let error = Workspace::open(&file.join("inside")).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Io);
    assert!(error.what.contains("file/inside"), "{error}");

    // A folder in the place of the database.
    fs::create_dir_all(folder.path().join("a").join(DATABASE)).unwrap();
    assert_eq!(Workspace::open(&folder.path().join("a")).unwrap_err().kind, ErrorKind::Io);

    // No SQLite file at all.
    fs::create_dir(folder.path().join("b")).unwrap();
    fs::write(folder.path().join("b").join(DATABASE), "Dear diary, ".repeat(200)).unwrap();
    let error = Workspace::open(&folder.path().join("b")).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Format, "{error}");

    // Another program's.
    fs::create_dir(folder.path().join("c")).unwrap();
    let foreign = Connection::open(folder.path().join("c").join(DATABASE)).unwrap();
    foreign.execute_batch("CREATE TABLE bookmarks (url TEXT)").unwrap();
    let error = Workspace::open(&folder.path().join("c")).unwrap_err();
    assert!(error.why.contains("another program"), "{error}");

    // A newer version's.
    let newer = Workspace::open(&folder.path().join("d")).unwrap();
    newer.db.pragma_update(None, "user_version", 1000).unwrap();
    let error = Workspace::open(&folder.path().join("d")).unwrap_err();
    assert!(error.why.contains("newer"), "{error}");
}

#[test]
fn a_damaged_database_is_refused() {
    let (folder, mut w) = open();
    let run = w.begin_run(&new_run()).unwrap();
    w.record_points(run.id, &(1..500).map(point).collect::<Vec<_>>()).unwrap();
    drop(run);
    drop(w);
    let path = folder.path().join(DATABASE);
    let mut bytes = fs::read(&path).unwrap();
    let half = bytes.len() / 2;
    bytes[4096..half].fill(0xA5);
    fs::write(&path, &bytes).unwrap();
    assert_eq!(Workspace::open(folder.path()).unwrap_err().kind, ErrorKind::Format);
    bytes.truncate(4096 + 100);
    fs::write(&path, &bytes).unwrap();
    assert_eq!(Workspace::open(folder.path()).unwrap_err().kind, ErrorKind::Format);
}

#[test]
fn a_file_without_write_permission_is_refused() {
    let (folder, w) = open();
    drop(w);
    let path = folder.path().join(DATABASE);
    let mut permissions = fs::metadata(&path).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&path, permissions).unwrap();
    if fs::OpenOptions::new().append(true).open(&path).is_ok() {
        println!("skipped: this user may write anything");
        return;
    }
    assert_eq!(Workspace::open(folder.path()).unwrap_err().kind, ErrorKind::Io);
}

#[test]
fn a_full_disk_is_said_and_loses_nothing() {
    let (_folder, mut w) = open();
    let run = w.begin_run(&new_run()).unwrap();
    w.record_points(run.id, &[point(1)]).unwrap();
    let pages: i64 = w.db.pragma_query_value(None, "page_count", |r| r.get(0)).unwrap();
    w.db.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(())).unwrap();
    let many: Vec<_> = (2..5000).map(point).collect();
    let error = w.record_points(run.id, &many).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Io);
    assert!(error.remedy.contains("disk space"), "{error}");
    assert_eq!(w.history(run.id).unwrap(), [point(1)]);
}

/// The child of the test below: records points until it is killed.
#[test]
fn child_that_records_until_it_is_killed() {
    let Some(folder) = std::env::var_os("SPARSESCOPE_TEST_CHILD") else { return };
    let mut w = Workspace::open(Path::new(&folder)).unwrap();
    let run = w.begin_run(&new_run()).unwrap();
    for step in 1.. {
        w.record_points(run.id, &[point(step)]).unwrap();
        println!("saved {step}");
    }
}

#[test]
fn what_it_called_saved_survives_a_kill() {
    let folder = tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "workspace::tests::child_that_records_until_it_is_killed"])
        .arg("--nocapture")
        .env("SPARSESCOPE_TEST_CHILD", folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut last = 0;
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    while last < 20 {
        let line = lines.next().expect("the child writes").unwrap();
        last = line.strip_prefix("saved ").map_or(last, |n| n.parse().unwrap());
    }
    // While it lives, nobody else may take up its run.
    let w = Workspace::open(folder.path()).unwrap();
    assert_eq!(w.list_saes().unwrap()[0].status, RunStatus::Training);
    child.kill().unwrap();
    child.wait().unwrap();
    let saved = lines.map_while(Result::ok).filter_map(|l| l.strip_prefix("saved ")?.parse().ok());
    let last = saved.max().unwrap_or(last);
    let w = Workspace::open(folder.path()).unwrap();
    let runs = w.interrupted_runs().unwrap();
    assert_eq!(runs.len(), 1);
    let steps: Vec<u64> = w.history(runs[0].id).unwrap().iter().map(|p| p.step).collect();
    assert!(steps.len() as u64 >= last, "{} of {last} points", steps.len());
    assert_eq!(steps, (1..=steps.len() as u64).collect::<Vec<_>>());
    assert_eq!(runs[0].tokens_done, steps.len() as u64 * 100);
    w.resume_run(runs[0].id).unwrap();
}

#[test]
fn settings_come_back_to_the_last_bit() {
    for latents in 1..3000 {
        let config = TrainConfig::preset(Architecture::TopK { k: 1 }, latents);
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<TrainConfig>(&text).unwrap(), config);
    }
}
