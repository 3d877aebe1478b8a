//! Cross-entropy of the model's next-token predictions.

use crate::activations::Group;
use rayon::prelude::*;

/// Σ of −ln p(next token), and how many predictions that is.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Loss {
    pub sum: f64,
    pub predictions: u64,
}

impl Loss {
    pub fn mean(self) -> f64 {
        self.sum / self.predictions as f64
    }

    pub fn add(&mut self, other: Self) {
        self.sum += other.sum;
        self.predictions += other.predictions;
    }
}

/// The predictions of a group that count: rows of the flattened `[batch * positions]` logits, each
/// with the token that comes next.
pub(super) fn targets(group: &Group<'_>) -> Vec<(usize, u32)> {
    let mut all = Vec::new();
    for (b, row) in group.rows.iter().enumerate() {
        let counts = (0..row.len()).filter(|i| row.used[*i] && row.predicts(*i));
        all.extend(counts.map(|i| (b * group.positions() + i, row.tokens[i + 1])));
    }
    all
}

/// The loss of `logits` (`[rows, vocabulary]`) at `targets`.
pub(super) fn loss(logits: &[f32], vocabulary: usize, targets: &[(usize, u32)]) -> Loss {
    let each: Vec<f64> = targets
        .par_iter()
        .map(|(row, token)| {
            let logits = &logits[row * vocabulary..(row + 1) * vocabulary];
            let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let sum: f64 = logits.iter().map(|l| f64::from((l - most).exp())).sum();
            sum.ln() + f64::from(most) - f64::from(logits[*token as usize])
        })
        .collect();
    // Summed in their order, so that the number of threads plays no part.
    Loss { sum: each.iter().sum(), predictions: each.len() as u64 }
}
