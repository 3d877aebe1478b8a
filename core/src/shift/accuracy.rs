//! Accuracies on a balanced set, with bootstrap intervals.

use super::Text;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// What every accuracy here is, and its interval.
pub const ACCURACY_DEFINITION: &str = "Measured on the balanced test set, whose four groups are \
    equally large. Label accuracy: share of texts whose label the probe names. Spurious accuracy: \
    share of texts whose spurious value is the one paired with the label that the probe names; \
    one half means that it knows nothing of it. Worst group: the least label accuracy of the four \
    groups. Intervals are 95 % bootstrap intervals: the 2.5 and 97.5 percentiles over 1,000 \
    resamples of the texts within each group. They say how much the test texts matter, not how \
    much another training run would.";

/// Resamples of the bootstrap.
const RESAMPLES: usize = 1000;

/// A share with its 95 % bootstrap interval.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// The share, 0 to 1.
    pub mean: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// How a probe does on a balanced set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Accuracies {
    /// Texts it was measured on.
    pub texts: usize,
    /// Share of texts whose label it names.
    pub label: Share,
    /// Share of texts of whose spurious value its answer is the paired label.
    pub spurious: Share,
    /// The least label accuracy of the groups.
    pub worst_group: Share,
    /// Label accuracy of each group, `[label][spurious]`.
    pub groups: [[Share; 2]; 2],
}

impl Accuracies {
    /// Of texts with scores `right`: 1 where the label was named, 0 where not, between where
    /// several probes were asked.
    pub fn new(texts: &[Text], right: &[f64], seed: u64) -> Self {
        let mut groups: [[Vec<f64>; 2]; 2] = Default::default();
        for (text, right) in texts.iter().zip(right) {
            groups[text.label][text.spurious].push(*right);
        }
        let means = groups.each_ref().map(|row| row.each_ref().map(|scores| mean(scores)));
        let whole = Figures::new(&groups, &means);
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let drawn: Vec<Figures> = (0..RESAMPLES)
            .map(|_| {
                let means =
                    groups.each_ref().map(|row| row.each_ref().map(|s| resampled(s, &mut rng)));
                Figures::new(&groups, &means)
            })
            .collect();
        let share = |of: &dyn Fn(&Figures) -> f64| {
            let mut values: Vec<f64> = drawn.iter().map(of).collect();
            values.sort_by(f64::total_cmp);
            Share {
                mean: of(&whole),
                low: quantile(&values, 0.025),
                high: quantile(&values, 0.975),
            }
        };
        let group = |l: usize, s: usize| share(&|f: &Figures| f.groups[l][s]);
        Self {
            texts: texts.len(),
            label: share(&|f| f.label),
            spurious: share(&|f| f.spurious),
            worst_group: share(&|f| f.worst),
            groups: [[group(0, 0), group(0, 1)], [group(1, 0), group(1, 1)]],
        }
    }
}

struct Figures {
    label: f64,
    spurious: f64,
    worst: f64,
    groups: [[f64; 2]; 2],
}

impl Figures {
    fn new(scores: &[[Vec<f64>; 2]; 2], means: &[[f64; 2]; 2]) -> Self {
        let (mut label, mut spurious, mut texts, mut worst) = (0.0, 0.0, 0.0, 1.0f64);
        for (l, row) in scores.iter().enumerate() {
            for (s, group) in row.iter().enumerate().filter(|(_, group)| !group.is_empty()) {
                let (n, mean) = (group.len() as f64, means[l][s]);
                texts += n;
                label += n * mean;
                // Where the two agree the right label is the paired one, elsewhere the wrong one.
                spurious += n * if l == s { mean } else { 1.0 - mean };
                worst = worst.min(mean);
            }
        }
        let texts = f64::max(texts, 1.0);
        Self { label: label / texts, spurious: spurious / texts, worst, groups: *means }
    }
}

fn mean(values: &[f64]) -> f64 {
    if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / values.len() as f64 }
}

fn resampled(scores: &[f64], rng: &mut ChaCha8Rng) -> f64 {
    if scores.is_empty() {
        return 0.0;
    }
    let sum: f64 = (0..scores.len()).map(|_| scores[rng.random_range(0..scores.len())]).sum();
    sum / scores.len() as f64
}

/// Linear between the sorted `values`.
fn quantile(values: &[f64], q: f64) -> f64 {
    let Some(last) = values.len().checked_sub(1) else { return 0.0 };
    let at = q * last as f64;
    let below = at.floor() as usize;
    let above = (below + 1).min(last);
    values[below] + (at - below as f64) * (values[above] - values[below])
}

#[cfg(test)]
#[path = "tests/accuracy.rs"]
mod tests;
