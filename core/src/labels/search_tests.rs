use super::*;
use crate::features::{
    Context, ContextGroup, FeatureFile, FeatureTable, GroupKind, LatentDetail, LatentSummary,
};
use crate::jobs::JobContext;
use crate::llama::Site;
use crate::sae::Architecture;
use crate::training::TrainConfig;
use crate::workspace::{NewRun, SaeId, Workspace};
use tempfile::{TempDir, tempdir};

pub(super) fn workspace_with(latents: usize) -> (TempDir, Workspace, SaeId) {
    let folder = tempdir().unwrap();
    let mut workspace = Workspace::open(folder.path()).unwrap();
    let config = TrainConfig::preset(Architecture::TopK { k: 4 }, latents);
    let run = workspace
        .begin_run(&NewRun {
            model: "abc".into(),
            site: Site::Resid(2),
            width: 8,
            corpus: "builtin".into(),
            config,
            request: serde_json::Value::Null,
        })
        .unwrap();
    let id = run.id;
    workspace.finish_run(run, &Ok(())).unwrap();
    (folder, workspace, id)
}

pub(super) fn context(text: &str, peak: usize) -> Context {
    let tokens: Vec<String> = text.split_inclusive(' ').map(str::to_owned).collect();
    let activations = (0..tokens.len()).map(|i| if i == peak { 2.0 } else { 0.0 }).collect();
    Context { tokens, peak, activations, ..Context::default() }
}

fn save(workspace: &Workspace, sae: SaeId, contexts: Vec<Vec<Context>>) {
    let summary = |(i, contexts): (usize, &Vec<Context>)| LatentSummary {
        index: i as u32,
        fired: contexts.len() as u64,
        density: 0.1,
        mean: 1.0,
        max: if contexts.is_empty() { 0.0 } else { 2.0 },
        ..LatentSummary::default()
    };
    let latents = contexts.iter().enumerate().map(summary).collect();
    let table = FeatureTable { corpus: "builtin".into(), tokens: 100, latents };
    let detail = |(i, contexts)| LatentDetail {
        latent: i as u32,
        groups: vec![ContextGroup { kind: GroupKind::Top, contexts }],
        ..LatentDetail::default()
    };
    let details: Vec<LatentDetail> = contexts.into_iter().enumerate().map(detail).collect();
    let path = workspace.sae(sae).unwrap().features_path();
    FeatureFile::save(&path, &table, &details).unwrap();
    workspace.keep_features(sae).unwrap();
}

fn query(text: &str) -> Query {
    Query { text: text.into(), sae: None, limit: 20 }
}

fn latents(workspace: &Workspace, text: &str) -> Vec<u32> {
    search(workspace, &query(text)).unwrap().hits.iter().map(|h| h.latent).collect()
}

fn truth(latent: u32, text: &str, f1: f64) -> NewLabel {
    let source = LabelSource::Truth { f1, definition: "F1 of the latent alone".into() };
    NewLabel { latent, text: text.into(), source, scores: None }
}

#[test]
fn labels_and_contexts_are_found_as_words_are_typed() {
    let (_folder, mut w, sae) = workspace_with(6);
    save(
        &w,
        sae,
        vec![
            vec![context("the gardener knows her roses", 1)],
            vec![],
            vec![context("a rose is a rose", 1), context("the rose fades", 1)],
            vec![context("the gender of the word", 3)],
            vec![context("Élan vital of the rosé", 0)],
            vec![context("nothing here", 0)],
        ],
    );
    let before = search(&w, &query("rose")).unwrap();
    assert_eq!((before.hits.len(), before.unindexed), (0, vec![sae]));
    let made = index_contexts(&JobContext::<()>::unwatched(), &w, sae).unwrap();
    assert_eq!(made, Indexed { contexts: 6, made: true });
    let again = index_contexts(&JobContext::<()>::unwatched(), &w, sae).unwrap();
    assert_eq!(again, Indexed { contexts: 6, made: false });
    assert!(is_indexed(&w, sae).unwrap());
    w.add_labels(sae, &[truth(0, "gender: female", 0.9), truth(5, "subject number", 0.8)]).unwrap();

    // The label before the peak, the peak in more contexts before less, the peak before the rest.
    assert_eq!(latents(&w, "gen"), [0, 3]);
    assert_eq!(latents(&w, "rose"), [2, 0, 4]);
    let hits = search(&w, &query("rose")).unwrap().hits;
    assert_eq!(hits[0].at, Where::Peak(2));
    assert_eq!(hits[1].at, Where::Context(1));
    assert_eq!(&hits[2].snippet.text[hits[2].snippet.marked[0].clone()], "rosé");
    assert_eq!(latents(&w, "ELAN"), [4]);
    assert_eq!(latents(&w, "rose gardener"), [0]);
    assert_eq!(latents(&w, "\"gardener knows\""), [0]);
    assert_eq!(latents(&w, "\"knows gardener\""), [0u32; 0]);
    let hit = &search(&w, &query("number")).unwrap().hits[0];
    assert_eq!((hit.latent, hit.score()), (5, Some((0.8, "F1"))));
    assert_eq!(hit.snippet.marked.first(), Some(&(8..14)));
    let elsewhere = Query { sae: Some(sae + 1), ..query("number") };
    assert!(search(&w, &elsewhere).unwrap().hits.is_empty());
    let one = search(&w, &Query { limit: 1, ..query("rose") }).unwrap();
    assert_eq!((one.hits.len(), one.more), (1, true));

    // New features: the old index answers until the new one is there.
    save(&w, sae, vec![vec![context("tulips", 0)]]);
    assert!(!is_indexed(&w, sae).unwrap());
    index_contexts(&JobContext::<()>::unwatched(), &w, sae).unwrap();
    assert_eq!(latents(&w, "rose"), [0u32; 0]);
    assert_eq!(latents(&w, "tulip"), [0]);
}

#[test]
fn no_text_is_a_syntax_error() {
    let (_folder, mut w, sae) = workspace_with(2);
    save(&w, sae, vec![vec![context("say \"don't\" (twice) *", 1)], vec![context("日本語 の", 0)]]);
    index_contexts(&JobContext::<()>::unwatched(), &w, sae).unwrap();
    w.add_label(sae, NewLabel::by_hand(1, "an \"odd\" label: NEAR(x)")).unwrap();
    let odd = [
        "",
        " ",
        "\"",
        "\"\"",
        "'",
        "(",
        ")",
        "a(",
        "*",
        "a*",
        "-a",
        "^a",
        "a:b",
        "{a}:b",
        "AND",
        "OR a",
        "a AND",
        "NOT",
        "NEAR(a b, 3)",
        "a + b",
        ";",
        "--",
        "\0",
        "a\0b",
        "\u{2}a\u{3}",
        "%",
        "\\",
        "日本",
        "😀",
        "😀a",
        "ß",
        "İ",
        "\u{301}",
        "1.5",
        "x'00'",
        "\"a\" \"",
        "“odd”",
    ];
    for text in odd {
        search(&w, &query(text)).unwrap_or_else(|e| panic!("{text:?}: {e}"));
    }
    assert_eq!(latents(&w, "don't"), [0]);
    assert_eq!(latents(&w, "日本"), [1]);
    assert_eq!(latents(&w, "near(x"), [1]);
}

#[test]
fn an_index_that_is_stopped_or_damaged_is_no_harm() {
    let (_folder, w, sae) = workspace_with(2);
    save(&w, sae, vec![vec![context("one word", 0)], vec![context("two words", 0)]]);
    let job = crate::jobs::spawn("index", std::sync::Arc::new(|| {}), {
        let root = w.root().to_owned();
        move |ctx: &JobContext| {
            while ctx.check().is_ok() {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            index_contexts(ctx, &Workspace::open(&root)?, sae)
        }
    });
    job.cancel("enough");
    assert!(job.wait(|_, _| {}).unwrap_err().is_cancelled());
    assert!(!is_indexed(&w, sae).unwrap());
    let dir = w.sae_dir(sae).unwrap();
    let left: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(!left.iter().any(|n| n.to_string_lossy().contains("search")), "{left:?}");
    std::fs::write(dir.join("search.sqlite"), "no database").unwrap();
    assert_eq!(search(&w, &query("word")).unwrap().unindexed, [sae]);
    assert!(index_contexts(&JobContext::<()>::unwatched(), &w, sae).unwrap().made);
    assert_eq!(latents(&w, "word"), [0, 1]);
}
