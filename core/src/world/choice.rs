//! Choices with known probabilities: a document is a product of them.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// Makes the choices of the grammar.
pub(super) trait Choose {
    /// An index with a probability in proportion to its weight (not all 0).
    fn choose(&mut self, weights: &[f64]) -> usize;

    /// The same for a choice among words rather than constructions.
    fn choose_word(&mut self, weights: &[f64]) -> usize {
        self.choose(weights)
    }

    /// −ln of the probability of all choices so far.
    fn nats(&self) -> f64;
}

/// Chooses by chance.
pub(super) struct Sampler<'a> {
    rng: &'a mut ChaCha8Rng,
    nats: f64,
}

impl<'a> Sampler<'a> {
    pub(super) fn new(rng: &'a mut ChaCha8Rng) -> Self {
        Self { rng, nats: 0.0 }
    }
}

impl Choose for Sampler<'_> {
    fn choose(&mut self, weights: &[f64]) -> usize {
        let total: f64 = weights.iter().sum();
        let mut left = self.rng.random::<f64>() * total;
        // Rounding may walk past the end; the last possible one is then meant.
        let mut chosen = 0;
        for (i, &weight) in weights.iter().enumerate() {
            if weight > 0.0 {
                chosen = i;
                left -= weight;
                if left < 0.0 {
                    break;
                }
            }
        }
        self.nats -= (weights[chosen] / total).ln();
        chosen
    }

    fn nats(&self) -> f64 {
        self.nats
    }
}

/// Walks through every derivation: choices follow a script, and the script counts up.
#[cfg(test)]
pub(super) struct Enumerator {
    script: Vec<(usize, usize)>,
    at: usize,
    nats: f64,
    /// How many words of a list there are; the rest of the list is taken not to exist.
    pub(super) words: usize,
}

#[cfg(test)]
impl Enumerator {
    pub(super) fn new(words: usize) -> Self {
        Self { script: Vec::new(), at: 0, nats: 0.0, words }
    }

    /// Goes on to the next derivation; false at the end.
    pub(super) fn advance(&mut self) -> bool {
        self.at = 0;
        self.nats = 0.0;
        while let Some((choice, of)) = self.script.pop() {
            if choice + 1 < of {
                self.script.push((choice + 1, of));
                return true;
            }
        }
        false
    }

    fn pick(&mut self, weights: &[f64], limit: usize) -> usize {
        let possible: Vec<usize> =
            (0..weights.len()).filter(|&i| weights[i] > 0.0).take(limit).collect();
        let total: f64 = possible.iter().map(|&i| weights[i]).sum();
        if self.at == self.script.len() {
            self.script.push((0, possible.len()));
        }
        let chosen = possible[self.script[self.at].0];
        self.at += 1;
        self.nats -= (weights[chosen] / total).ln();
        chosen
    }
}

#[cfg(test)]
impl Choose for Enumerator {
    fn choose(&mut self, weights: &[f64]) -> usize {
        self.pick(weights, usize::MAX)
    }

    fn choose_word(&mut self, weights: &[f64]) -> usize {
        self.pick(weights, self.words)
    }

    fn nats(&self) -> f64 {
        self.nats
    }
}
