//! What is handed out is what is known; what others hand out is read; nothing in it does harm.

use super::neuronpedia::{Batch, Explanation};
use super::*;
use crate::activations::testing::{text_file, tiny_model, tiny_sae};
use crate::corpus::{Bos, CorpusSpec, RowSpec, Split};
use crate::error::ErrorKind;
use crate::features::{CollectSpec, GroupKind, collect};
use crate::llama::Site;
use crate::workspace::{LabelSource, NewLabel, NewRun, Workspace};
use std::fs;

const EVIL: &str = "</span><script>alert('x')</script>\" onload=\"x & <img src=http://a>";

/// Features of a tiny model, and a request for all of them.
fn features(dir: &Path, format: Format) -> (Model, Sae, ExportRequest) {
    let (model, sae) = (tiny_model(), tiny_sae(&[16, 300]));
    let rows = RowSpec { split: Split::Packed, bos: Bos::Drop, length: 16 };
    let corpus = CorpusSpec::File(text_file(dir, 50));
    let spec =
        CollectSpec { site: Some(Site::Resid(1)), tokens: 500, ..CollectSpec::new(corpus, rows) };
    let path = dir.join("features");
    let table = collect(&JobContext::<()>::unwatched(), &model, &sae, &spec, &path).unwrap();
    let fired: Vec<u32> = table.latents.iter().filter(|l| l.fired > 0).map(|l| l.index).collect();
    let label = |text: &str| ExportLabel { text: text.into(), source: "by hand".into() };
    let request = ExportRequest {
        features: path,
        latents: None,
        format,
        out: dir.join("out"),
        name: "my-sae".into(),
        model_name: "tiny".into(),
        labels: BTreeMap::from([
            (fired[0], label("words that begin with w3")),
            (fired[1], label(EVIL)),
        ]),
    };
    (model, sae, request)
}

#[test]
fn neuronpedias_files_hold_what_is_known() {
    let dir = tempfile::tempdir().unwrap();
    let (model, sae, request) = features(dir.path(), Format::Neuronpedia);
    let ctx = JobContext::<()>::unwatched();
    let done = export(&ctx, Some(&model), &sae, &request).unwrap();
    let mut file = FeatureFile::open(&request.features).unwrap();
    let table = file.table().unwrap();
    let fired: Vec<_> = table.latents.iter().filter(|l| l.fired > 0).collect();
    assert!(fired.len() > 128 && fired.len() < 300 && done.features == fired.len());
    let batches: Vec<Batch> = (0..fired.len().div_ceil(128))
        .map(|i| {
            let bytes = fs::read(request.out.join(format!("batch-{i}.json"))).unwrap();
            serde_json::from_slice(&bytes).unwrap()
        })
        .collect();
    assert!(batches.iter().all(|b| (b.model_id.as_str(), b.layer) == ("tiny", 1)));
    let all: Vec<_> = batches.iter().flat_map(|b| &b.features).collect();
    assert_eq!(all.len(), fired.len());
    for (got, want) in all.iter().zip(&fired) {
        assert_eq!((got.feature_index, got.frac_nonzero), (want.index, want.density));
        assert_eq!(got.freq_hist_data_bar_heights.iter().sum::<u32>() as u64, want.fired);
        assert_eq!(got.freq_hist_data_bar_heights.len(), got.freq_hist_data_bar_values.len());
        assert_eq!(got.logits_hist_data_bar_heights.iter().sum::<u64>(), 43);
        assert!(got.pos_values[0] >= got.pos_values[9] && got.neg_values[0] <= got.neg_values[9]);
        let detail = file.detail(want.index as usize).unwrap();
        let contexts = detail.groups.iter().flat_map(|g| g.contexts.iter().map(move |c| (g, c)));
        assert_eq!(got.activations.len(), contexts.clone().count());
        for (activation, (group, context)) in got.activations.iter().zip(contexts) {
            assert_eq!(
                (&activation.tokens, &activation.values),
                (&context.tokens, &context.activations)
            );
            match group.kind {
                GroupKind::Top => {
                    assert_eq!((activation.bin_min, activation.bin_max), (-1.0, want.max))
                }
                GroupKind::Quantile { low, high, .. } => {
                    assert_eq!((activation.bin_min, activation.bin_max), (low, high));
                }
            }
        }
    }
    // The labels come back as they went.
    let path = request.out.join("explanations.jsonl");
    let first: Explanation =
        serde_json::from_str(fs::read_to_string(&path).unwrap().lines().next().unwrap()).unwrap();
    assert_eq!((first.index, first.layer.as_str()), (fired[0].index.to_string(), "1-my-sae"));
    let back = read_labels(&path, 300, Some(Site::Resid(1)), None).unwrap();
    let fired_labels = request.labels.iter().filter(|(l, _)| table.latents[**l as usize].fired > 0);
    let want: BTreeMap<u32, String> = fired_labels.map(|(l, t)| (*l, t.text.clone())).collect();
    assert_eq!(back.labels, want);
}

/// A tag: its name, its attributes.
type Tag = (String, Vec<(String, String)>);

/// Tags and attributes of a page, checked to be well formed: every tag closed, every value quoted.
fn parse(page: &str) -> (Vec<Tag>, String) {
    let void = ["meta", "!doctype"];
    let (mut tags, mut open, mut text) = (Vec::new(), Vec::<String>::new(), String::new());
    let mut rest = page;
    while let Some(at) = rest.find('<') {
        text.push_str(&rest[..at]);
        let end = at + rest[at..].find('>').expect("a tag ends");
        let tag = rest[at + 1..end].trim_end_matches('/');
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name));
            continue;
        }
        let (name, mut attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        let mut found = Vec::new();
        while !attributes.trim().is_empty() && name != "!DOCTYPE" {
            let (key, value) = attributes.split_once("=\"").expect("an attribute is quoted");
            let (value, left) = value.split_once('"').expect("a quote ends");
            assert!(key.trim().chars().all(|c| c.is_ascii_alphanumeric() || c == '-'), "{key}");
            found.push((key.trim().to_owned(), value.to_owned()));
            attributes = left;
        }
        let self_closed = page[..page.len() - rest.len()].ends_with("/>");
        if !self_closed && !void.contains(&name.to_lowercase().as_str()) {
            open.push(name.to_owned());
        }
        tags.push((name.to_owned(), found));
    }
    assert!(open.is_empty(), "{open:?}");
    (tags, text)
}

#[test]
fn the_page_stands_alone_and_says_only_what_it_means() {
    let dir = tempfile::tempdir().unwrap();
    let (model, sae, mut request) = features(dir.path(), Format::Html);
    let ctx = JobContext::<()>::unwatched();
    let table = FeatureFile::open(&request.features).unwrap().table().unwrap();
    let silent = table.latents.iter().find(|l| l.fired == 0).unwrap().index;
    let [first, second]: [u32; 2] =
        request.labels.keys().copied().collect::<Vec<_>>().try_into().unwrap();
    request.latents = Some(vec![second, first, silent]);
    request.name = EVIL.into();
    request.out = dir.path().join("new").join("page.html");
    let done = export(&ctx, Some(&model), &sae, &request).unwrap();
    let page = fs::read_to_string(&request.out).unwrap();
    assert_eq!((done.features, done.bytes), (3, page.len() as u64));
    let (tags, text) = parse(&page);
    for (name, attributes) in &tags {
        assert!(!["script", "img", "link", "iframe", "object"].contains(&name.as_str()));
        for (key, value) in attributes {
            assert!(!key.starts_with("on") && key != "src", "{key}");
            assert!(key != "href" || value.starts_with('#'));
        }
    }
    assert!(!page.contains("url(") && !page.contains("@import"));
    // The text's name is told, not where it lies on this machine.
    let folder = dir.path().to_str().unwrap();
    assert!(page.contains("text.txt") && !page.contains(folder));
    assert!(text.contains("It fired on none of the"));
    assert!(text.contains("&lt;script&gt;"));
    let sections = tags.iter().filter(|t| t.0 == "section").count();
    assert_eq!(sections, 3);
    let rects = tags.iter().filter(|t| t.0 == "rect").count();
    let bins =
        |l: u32| table.latents[l as usize].histogram.counts.iter().filter(|c| **c > 0).count();
    assert_eq!(rects, bins(first) + bins(second));
}

#[test]
fn what_cannot_be_handed_out_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (_, sae, request) = features(dir.path(), Format::Html);
    let ctx = JobContext::<()>::unwatched();
    let kind = |sae: &Sae, latents| {
        let request = ExportRequest { latents: Some(latents), ..request.clone() };
        export(&ctx, None, sae, &request).unwrap_err().kind
    };
    assert_eq!(kind(&sae, vec![300]), ErrorKind::Setting);
    assert_eq!(kind(&sae, vec![0; MOST_ON_A_PAGE + 1]), ErrorKind::Setting);
    assert_eq!(kind(&tiny_sae(&[16, 24]), vec![0]), ErrorKind::Setting);
    let mut other = sae.clone();
    other.b_dec[0] += 1.0;
    assert_eq!(kind(&other, vec![0]), ErrorKind::Setting);
    ctx.cancel("test");
    assert!(export(&ctx, None, &sae, &request).unwrap_err().is_cancelled());
    assert!(!request.out.exists());
}

fn read(text: &str, source: Option<&str>) -> Result<LabelFile> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("labels");
    fs::write(&path, text).unwrap();
    read_labels(&path, 100, Some(Site::Resid(5)), source)
}

fn labels(pairs: &[(u32, &str)]) -> BTreeMap<u32, String> {
    pairs.iter().map(|(l, t)| (*l, (*t).to_owned())).collect()
}

#[test]
fn labels_are_read_in_the_forms_that_are_about() {
    let want = labels(&[(3, "cats"), (14, "dogs, \"big\"")]);
    let neuronpedia = r#"{"modelId":"m","layer":"6-res-jb","index":"3","description":" cats ","typeName":"oai_token-act-pair"}
{"modelId":"m","layer":"6-res-jb","index":14,"description":"dogs, \"big\""}

{"modelId":"m","layer":"6-res-jb","index":"3","description":"another"}
{"modelId":"m","layer":"6-res-jb","index":"9","description":""}
"#;
    let found = read(neuronpedia, None).unwrap();
    assert_eq!((&found.labels, found.repeated, found.empty), (&want, 1, 1));
    let array = format!(
        "[{}]",
        neuronpedia.lines().filter(|l| !l.is_empty()).collect::<Vec<_>>().join(",")
    );
    assert_eq!(read(&array, None).unwrap(), found);
    assert_eq!(read(&format!("{{\"explanations\":{array}}}"), None).unwrap(), found);
    let table = "Index,Description\n3,cats\n14,\"dogs, \"\"big\"\"\"\n";
    assert_eq!(read(table, None).unwrap().labels, want);
    let object = r#"{"3": "cats", "14": "dogs, \"big\""}"#;
    assert_eq!(read(object, None).unwrap().labels, want);
    let one = r#"{"index": 3, "label": "cats"}"#;
    assert_eq!(read(one, None).unwrap().labels, labels(&[(3, "cats")]));
}

#[test]
fn annotations_of_several_components_give_those_of_the_site() {
    let lines = r#"{"Component": "resid", "Layer": 5, "Feature": 36, "Name": "resid_5/36", "Annotation": "plural subjects", "Notes": ""}
{"Component": "attn", "Layer": 5, "Feature": 36, "Name": "attn_5/36", "Annotation": "verbs", "Notes": ""}
{"Component": "resid", "Layer": 4, "Feature": 90000, "Name": "resid_4/90000", "Annotation": "far", "Notes": ""}"#;
    let found = read(lines, None).unwrap();
    assert_eq!((found.labels, found.elsewhere), (labels(&[(36, "plural subjects")]), 2));
    assert_eq!(read(lines, Some("attn_5")).unwrap().labels, labels(&[(36, "verbs")]));
}

#[test]
fn labels_of_another_dictionary_and_files_of_no_labels_are_refused() {
    let two = "layer,index,description\n6-res,3,cats\n7-res,3,dogs\n";
    let error = read(two, None).unwrap_err().to_string();
    assert!(error.contains("6-res, 7-res") && error.contains("several"), "{error}");
    assert_eq!(read(two, Some("7-res")).unwrap().labels, labels(&[(3, "dogs")]));
    assert!(read(two, Some("8-res")).unwrap_err().to_string().contains("7-res"));
    let far = read("index,label\n100,x\n", None).unwrap_err().to_string();
    assert!(far.contains("latent 100") && far.contains("has 100"), "{far}");
    for text in [
        "",
        "hello",
        "{",
        "[1]",
        "{\"a\": 1}",
        "index,label\nx,y\n",
        "index,label\n",
        "[{\"index\":1}]",
        "\u{feff}",
    ] {
        assert_eq!(read(text, None).unwrap_err().kind, ErrorKind::Format, "{text:?}");
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x");
    fs::write(&path, [0xff, 0xfe, 0]).unwrap();
    assert!(read_labels(&path, 1, None, None).is_err());
    assert!(read_labels(&dir.path().join("none"), 1, None, None).is_err());
}

#[test]
fn imported_labels_stand_in_the_workspace_and_displace_no_persons() {
    let dir = tempfile::tempdir().unwrap();
    let mut workspace = Workspace::open(dir.path()).unwrap();
    let architecture = crate::sae::Architecture::TopK { k: 4 };
    let run = workspace
        .begin_run(&NewRun {
            model: "abc".into(),
            site: Site::Resid(5),
            width: 8,
            corpus: "builtin".into(),
            config: crate::training::TrainConfig::preset(architecture, 64),
            request: serde_json::Value::Null,
        })
        .unwrap();
    let id = run.id;
    workspace.finish_run(run, &Ok(())).unwrap();
    workspace.add_label(id, NewLabel::by_hand(3, "mine")).unwrap();
    let path = dir.path().join("labels.csv");
    fs::write(&path, "index,description\n3,theirs\n4,new\n").unwrap();
    assert_eq!(import_labels(&mut workspace, id, &path, None).unwrap().labels.len(), 2);
    assert_eq!(workspace.label(id, 3).unwrap().unwrap().text, "mine");
    let label = workspace.label(id, 4).unwrap().unwrap();
    assert_eq!(label.source, LabelSource::Import { file: "labels.csv".into() });
}
