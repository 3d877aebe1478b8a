use super::*;
use crate::activations::testing::tiny_model;
use crate::shift::testing::data;

fn spec(ambiguous: usize, balanced_train: usize, balanced_test: usize) -> SplitSpec {
    SplitSpec { ambiguous, balanced_train, balanced_test, seed: 2 }
}

fn groups(part: &[Text]) -> [[usize; 2]; 2] {
    let mut out = [[0; 2]; 2];
    part.iter().for_each(|text| out[text.label][text.spurious] += 1);
    out
}

#[test]
fn the_parts_are_equal_and_share_no_text() {
    let model = tiny_model();
    let data = data(200);
    let split = Split::new(&model, &data, &spec(12, 9, 11)).unwrap();
    assert_eq!(groups(&split.ambiguous), [[12, 0], [0, 12]]);
    assert_eq!(groups(&split.balanced_train), [[9, 9], [9, 9]]);
    assert_eq!(groups(&split.balanced_test), [[11, 11], [11, 11]]);
    let parts = [&split.ambiguous, &split.balanced_train, &split.balanced_test];
    let all: Vec<&Text> = parts.into_iter().flatten().collect();
    let items: BTreeSet<usize> = all.iter().map(|t| t.item).collect();
    let tokens: BTreeSet<&[u32]> = all.iter().map(|t| t.tokens.as_slice()).collect();
    assert_eq!((items.len(), tokens.len()), (all.len(), all.len()));
    let facts = &split.facts;
    assert_eq!(facts.unused + facts.same_tokens + all.len(), 200);
    assert_eq!(facts.tokens, all.iter().map(|t| t.tokens.len()).sum::<usize>());
    // The same seed, the same parts.
    assert_eq!(Split::new(&model, &data, &spec(12, 9, 11)).unwrap(), split);
    let sample = split.test_sample(16);
    assert_eq!(groups(&sample), [[4, 4], [4, 4]]);
}

#[test]
fn fewer_texts_than_asked_for_are_shared_out() {
    let split = Split::new(&tiny_model(), &data(120), &spec(1000, 1000, 500)).unwrap();
    // Groups of 30, of which those that agree give half.
    let [[a, b], [c, d]] = groups(&split.balanced_test);
    assert!(a == b && b == c && c == d && a == 5, "{a} {b} {c} {d}");
    assert_eq!(groups(&split.balanced_train), [[10, 10], [10, 10]]);
    assert_eq!(groups(&split.ambiguous), [[15, 0], [0, 15]]);
}

#[test]
fn what_is_too_long_is_cut_and_counted() {
    let model = tiny_model();
    let mut data = data(80);
    let long: Vec<&str> = vec!["w7"; 100];
    // With BOS 102 tokens, of which 64 can be read.
    data.items[0].text = format!("w1 {}", long.join(" "));
    let split = Split::new(&model, &data, &spec(10, 4, 4)).unwrap();
    assert_eq!((split.facts.cut_texts, split.facts.cut_tokens), (1, 38));
    let sentence = split.facts.cut_sentence().unwrap();
    assert!(sentence.contains("64") && sentence.contains("38"), "{sentence}");
    let parts = [&split.ambiguous, &split.balanced_train, &split.balanced_test];
    assert!(parts.into_iter().flatten().all(|t| t.tokens.len() <= 64));
}

#[test]
fn groups_that_are_missing_or_small_are_named() {
    let model = tiny_model();
    let mut one = data(80);
    one.items.retain(|item| (item.label, item.spurious) != (0, 1));
    let error = Split::new(&model, &one, &SplitSpec::default()).unwrap_err();
    assert!(error.why.contains("one, four"), "{error}");
    let error = Split::new(&model, &data(12), &SplitSpec::default()).unwrap_err();
    assert!(error.what.contains("too few") && error.why.contains("one, three: 3"), "{error}");
}
