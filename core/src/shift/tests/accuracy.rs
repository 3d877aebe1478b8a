use super::*;

fn text(label: usize, spurious: usize) -> Text {
    Text { item: 0, tokens: vec![1], label, spurious }
}

/// Groups of 4, 2, 2 and 4 texts of which 3, 1, 2 and 1 are right.
fn example() -> (Vec<Text>, Vec<f64>) {
    let (mut texts, mut right) = (Vec::new(), Vec::new());
    for (label, spurious, n, hits) in [(0, 0, 4, 3), (0, 1, 2, 1), (1, 0, 2, 2), (1, 1, 4, 1)] {
        for i in 0..n {
            texts.push(text(label, spurious));
            right.push(if i < hits { 1.0 } else { 0.0 });
        }
    }
    (texts, right)
}

#[test]
fn accuracies_by_hand() {
    let (texts, right) = example();
    let a = Accuracies::new(&texts, &right, 0);
    assert_eq!(a.texts, 12);
    assert!((a.label.mean - 7.0 / 12.0).abs() < 1e-12);
    // The paired label is said where the two agree and the answer is right (3 + 1 of 8), and where
    // they do not and it is wrong (1 + 0 of 4).
    assert!((a.spurious.mean - 5.0 / 12.0).abs() < 1e-12);
    assert!((a.worst_group.mean - 0.25).abs() < 1e-12);
    let groups = a.groups.map(|row| row.map(|g| g.mean));
    assert_eq!(groups, [[0.75, 0.5], [1.0, 0.25]]);
}

/// The same resamples, each text counted one by one.
#[test]
fn intervals_are_those_of_plain_resampling() {
    let (texts, right) = example();
    let found = Accuracies::new(&texts, &right, 9);
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    let groups = [(0, 0), (0, 1), (1, 0), (1, 1)];
    let (mut label, mut spurious, mut worst) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..RESAMPLES {
        let (mut hits, mut paired, mut least) = (0.0, 0.0, 1.0f64);
        for (l, s) in groups {
            let scores: Vec<f64> = texts
                .iter()
                .zip(&right)
                .filter(|(t, _)| (t.label, t.spurious) == (l, s))
                .map(|(_, r)| *r)
                .collect();
            let drawn: Vec<f64> =
                (0..scores.len()).map(|_| scores[rng.random_range(0..scores.len())]).collect();
            let sum: f64 = drawn.iter().sum();
            hits += sum;
            paired += if l == s { sum } else { drawn.len() as f64 - sum };
            least = least.min(sum / drawn.len() as f64);
        }
        label.push(hits / 12.0);
        spurious.push(paired / 12.0);
        worst.push(least);
    }
    for (share, mut values) in
        [(found.label, label), (found.spurious, spurious), (found.worst_group, worst)]
    {
        values.sort_by(f64::total_cmp);
        // 0.025 · 999 = 24.975 and 0.975 · 999 = 974.025, between two values each.
        let between = |i: usize, part: f64| values[i] + part * (values[i + 1] - values[i]);
        assert!((share.low - between(24, 0.975)).abs() < 1e-9);
        assert!((share.high - between(974, 0.025)).abs() < 1e-9);
        assert!(share.low <= share.mean && share.mean <= share.high);
    }
}

#[test]
fn the_interval_of_many_texts_is_that_of_a_coin() {
    let texts: Vec<Text> = (0..1600).map(|i| text(i % 2, i / 2 % 2)).collect();
    let right: Vec<f64> = (0..1600).map(|i| if i / 4 % 2 == 0 { 1.0 } else { 0.0 }).collect();
    let a = Accuracies::new(&texts, &right, 0);
    assert_eq!(a.label.mean, 0.5);
    let wanted = 1.96 * (0.25f64 / 1600.0).sqrt();
    let half = (a.label.high - a.label.low) / 2.0;
    assert!((half / wanted - 1.0).abs() < 0.1, "{half} for {wanted}");
}

#[test]
fn no_texts_are_no_figures_and_no_panic() {
    let a = Accuracies::new(&[], &[], 0);
    assert_eq!((a.texts, a.label.mean), (0, 0.0));
}
