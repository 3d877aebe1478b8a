use super::*;
use crate::circuits::Answers;
use candle_core::Device;

fn model() -> Model {
    crate::demo::model(&Device::Cpu).unwrap()
}

fn pair(clean: &str, patch: &str, right: &str, wrong: &str) -> Pair {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Pair {
        clean_prefix: clean.to_owned(),
        patch_prefix: some(patch),
        clean_answer: Answers::One(right.to_owned()),
        patch_answer: some(wrong).map(Answers::One),
        case: String::new(),
    }
}

fn task(pairs: Vec<Pair>) -> Task {
    Task { name: "t".to_owned(), pairs }
}

fn prepared(pairs: Vec<Pair>, metric: Metric, change: Change) -> Examples {
    Examples::prepare(&model(), &task(pairs), &metric, change).unwrap()
}

#[test]
fn what_cannot_be_used_is_counted_by_its_reason() {
    let long = "The dog ".repeat(400);
    let pairs = vec![
        pair("The dogs", "The dog", " are", " is"),
        pair("", "The dog", " are", " is"),
        pair("The dogs", "The dog", "", " is"),
        pair("The dogs", "The dog", " are happy", " is"),
        pair("The dogs", "The dog", " are", " is old"),
        pair("The dogs", "The dog", " are", ""),
        pair("The dogs", "The dog", " are", " are"),
        pair("The dogs", "", " are", " is"),
        pair("The dogs", "The dogs", " are", " is"),
        pair("The dogs", "The old dog", " are", " is"),
        pair(long.trim(), "The dog", " are", " is"),
        pair("The s", "The t", "tone", " is"),
    ];
    let examples = prepared(pairs.clone(), Metric::LogitDifference, Change::Patch);
    let why: Vec<(usize, Why)> = examples.left_out.iter().map(|l| (l.pair, l.why)).collect();
    let expected = [
        (1, Why::Empty),
        (2, Why::Empty),
        (3, Why::LongAnswer),
        (4, Why::LongAnswer),
        (5, Why::NoOtherAnswer),
        (6, Why::SameAnswers),
        (7, Why::NoPatch),
        (8, Why::SamePrompts),
        (9, Why::Lengths),
        (10, Why::TooLong),
        (11, Why::Joined),
    ];
    assert_eq!(why, expected);
    assert_eq!(examples.counts()["answer of several tokens"], 2);
    let kept = &examples.kept[0];
    assert_eq!((kept.pair, kept.clean[0], kept.first_difference()), (0, 1, Some(3)));
    let model = model();
    let tokenizer = model.tokenizer().unwrap();
    assert_eq!(tokenizer.token_text(kept.right[0]), " are");
    assert_eq!(tokenizer.token_text(kept.wrong[0]), " is");
    // Without a contrast in the prompts, or in the answers, more can be used.
    let zero = prepared(pairs.clone(), Metric::LogitDifference, Change::Zero);
    let used = |examples: &Examples| examples.kept.iter().map(|e| e.pair).collect::<Vec<_>>();
    assert_eq!(used(&zero), [0, 7, 8, 9]);
    assert!(zero.kept[0].patch.is_some() && zero.kept[1..].iter().all(|e| e.patch.is_none()));
    let alone = prepared(pairs, Metric::LogProbability, Change::Zero);
    assert_eq!(used(&alone), [0, 5, 7, 8, 9]);
    let none = Examples { kept: Vec::new(), ..examples };
    assert!(none.some().unwrap_err().to_string().contains("1: lengths differ"));
}

#[test]
fn sets_of_answers_and_probes() {
    let mut several = pair("The dogs", "The dog", "", " is");
    several.clean_answer = Answers::Several(vec![" are".into(), " were".into(), " are".into()]);
    let examples = prepared(vec![several], Metric::LogitDifference, Change::Patch);
    assert_eq!((examples.kept[0].right.len(), examples.kept[0].wrong.len()), (2, 1));
    let probe = Metric::Probe {
        site: crate::llama::Site::Resid(1),
        weights: vec![0.0; 128],
        bias: 0.0,
        pool: crate::circuits::Pool::Mean,
    };
    let pairs = vec![pair("The dogs", "", "+", ""), pair("The dog", "", "-", "")];
    let examples = prepared(pairs, probe, Change::Zero);
    assert_eq!(examples.kept.iter().map(|e| e.negate).collect::<Vec<_>>(), [false, true]);
    assert!(examples.kept.iter().all(|e| e.right.is_empty() && e.wrong.is_empty()));
}

#[test]
fn halves_share_no_prompt_and_follow_the_seed() {
    let nouns = ["dog", "cat", "boat", "net", "king", "stone", "door", "tree", "box"];
    let mut pairs = Vec::new();
    for noun in nouns {
        let (one, many) = (format!("The {noun}"), format!("The {noun}s"));
        for (a, b) in [(" is", " are"), (" has", " have")] {
            pairs.push(pair(&one, &many, a, b));
            pairs.push(pair(&many, &one, b, a));
        }
    }
    let all = prepared(pairs, Metric::LogitDifference, Change::Patch);
    assert!(all.kept.len() >= 24, "{:?}", all.counts());
    let (found, held) = all.split(3);
    assert_eq!((found.clone(), held.clone()), all.split(3));
    assert_ne!(held, all.split(4).1);
    assert_eq!(found.kept.len() + held.kept.len(), all.kept.len());
    assert!(held.kept.len().abs_diff(found.kept.len()) <= 4, "{} held", held.kept.len());
    let prompts: BTreeSet<&[u32]> = found.kept.iter().map(|e| e.clean.as_slice()).collect();
    assert!(held.kept.iter().all(|e| !prompts.contains(e.clean.as_slice())));
    let one = Examples { kept: all.kept[..1].to_vec(), left_out: Vec::new() };
    assert!(one.split(0).1.kept.is_empty());
    let some = all.drawn(5, 9);
    assert_eq!((some.kept.len(), &some), (5, &all.drawn(5, 9)));
    assert!(some.kept.is_sorted_by_key(|e| e.pair));
    assert_eq!(all.drawn(1000, 9), all);
}

#[test]
fn a_circuit_is_judged_by_pairs_that_it_did_not_see() {
    let example = |pair: usize| Example {
        pair,
        clean: vec![1, 5 + pair as u32, if pair < 12 { 3 } else { 4 }],
        patch: None,
        right: vec![],
        wrong: vec![],
        negate: false,
        case: String::new(),
    };
    let mut all = Examples { kept: (0..20).map(example).collect(), left_out: Vec::new() };
    all.kept.push(Example { clean: vec![1, 2, 3, 4], ..example(20) });
    let mut circuit = Circuit::default();
    circuit.conventions.spec.seed = 6;
    let (found, held) = all.split(6);
    circuit.conventions.task.used = found.kept.iter().map(|e| e.pair).collect();
    assert_eq!(all.to_judge(&circuit), (held.clone(), true));
    circuit.conventions.task.used.push(held.kept[0].pair);
    let (judged, held_out) = all.to_judge(&circuit);
    assert!(held_out && judged.kept[..] == held.kept[1..]);
    circuit.conventions.task.used = (0..=20).collect();
    assert_eq!(all.to_judge(&circuit), (all.clone(), false));
    circuit.conventions.task.used.clear();
    circuit.conventions.spec.aggregation = Aggregation::PerPosition;
    circuit.conventions.task.positions = 4;
    let (judged, held_out) = all.to_judge(&circuit);
    assert_eq!((judged.kept.len(), held_out), (1, false), "a single pair of that length");
}

#[test]
fn the_commonest_length_is_found() {
    let example = |pair: usize, length: usize| Example {
        pair,
        clean: vec![5; length],
        patch: None,
        right: vec![],
        wrong: vec![],
        negate: false,
        case: String::new(),
    };
    let lengths = [4, 3, 4, 5, 3, 9];
    let kept = lengths.iter().enumerate().map(|(i, &n)| example(i, n)).collect();
    let examples = Examples { kept, left_out: Vec::new() };
    assert_eq!(examples.commonest_length(), Some(3));
    assert_eq!(examples.of_length(4).kept.iter().map(|e| e.pair).collect::<Vec<_>>(), [0, 2]);
    assert_eq!(examples.by_length()[&3], [1, 4]);
    assert_eq!(Examples::default().commonest_length(), None);
}

/// The published agreement files, read as they are, with real tokenizers.
#[test]
fn published_files_load_unchanged() {
    let Some(real) = std::env::var_os("SPARSESCOPE_REAL").map(std::path::PathBuf::from) else {
        println!("skipped: SPARSESCOPE_REAL names no folder with real models and data");
        return;
    };
    let tokenizer = |folder: &str, vocab: usize| {
        let json = std::fs::read(real.join(folder).join("tokenizer.json")).unwrap();
        TokenizerHandle::from_bytes(&json, None, Some(1), vocab).unwrap()
    };
    let llama2 = tokenizer("tokenizers/llama2", 32_000);
    let llama3 = tokenizer("tokenizers/llama3", 128_256);
    let small = tokenizer("models/stories260K", 512);
    let counted = |file: &str, pairs: usize| {
        let task = Task::read(&real.join("data/agreement").join(file)).unwrap();
        assert_eq!(task.pairs.len(), pairs, "{file}");
        let kept =
            [("llama2", &llama2), ("llama3", &llama3), ("small", &small)].map(|(name, t)| {
                let metric = Metric::LogitDifference;
                let examples = Examples::tokenized(t, 2048, &task, &metric, Change::Patch).unwrap();
                assert_eq!(examples.kept.len() + examples.left_out.len(), pairs);
                println!(
                    "{file}, {name}: {} of {pairs}; {:?}",
                    examples.kept.len(),
                    examples.counts()
                );
                for example in &examples.kept {
                    let drawn = t.token_text(example.right[0]).trim_start().to_owned();
                    let answer = &task.pairs[example.pair].clean_answer.all()[0];
                    assert_eq!(drawn, answer.trim_start());
                }
                examples.kept.len()
            });
        // A vocabulary of words keeps many pairs, one of syllables few.
        assert!(kept[0] > pairs / 4 && kept[1] > pairs / 4 && kept[2] < kept[0], "{kept:?}");
    };
    counted("simple_train.json", 480);
    counted("simple_test.json", 120);
    counted("within_rc_train.json", 9600);
    counted("within_rc_test.json", 2400);
}
