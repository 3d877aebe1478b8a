//! One forward pass's worth of rows, turned so that each latent sees its own firings.

use crate::corpus::Row;
use crate::sae::Latents;

/// Token rows and what the latents do on them.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Each used token: where it is.
    pub tokens: Vec<Token>,
    /// Sentences: stretches of used tokens that follow each other in one document of one row.
    pub sentences: Vec<Sentence>,
    /// Firings `first[l] .. first[l + 1]` are latent l's.
    first: Vec<u32>,
    /// Which token of the batch fires, ascending within a latent.
    at: Vec<u32>,
    value: Vec<f32>,
}

/// A used token.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token {
    /// Number of its row in the sample.
    pub row: u32,
    /// Index in the row.
    pub index: u32,
    /// Its sentence in the batch.
    pub sentence: u32,
}

/// A stretch of the batch's tokens.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sentence {
    /// Its first token.
    pub start: u32,
    /// The token after its last.
    pub end: u32,
}

impl Batch {
    /// Takes rows (with their numbers) and the latents of their used tokens, one row after
    /// another.
    pub fn fill<'r>(&mut self, rows: impl Iterator<Item = (u32, &'r Row)>, latents: &Latents) {
        self.tokens.clear();
        self.sentences.clear();
        for (number, row) in rows {
            let mut last: Option<usize> = None;
            for index in (0..row.len()).filter(|i| row.used[*i]) {
                let goes_on = last.is_some_and(|last| {
                    last + 1 == index && row.document[last] == row.document[index]
                });
                let at = self.tokens.len() as u32;
                if !goes_on {
                    self.sentences.push(Sentence { start: at, end: at });
                }
                if let Some(sentence) = self.sentences.last_mut() {
                    sentence.end = at + 1;
                }
                let sentence = self.sentences.len() as u32 - 1;
                self.tokens.push(Token { row: number, index: index as u32, sentence });
                last = Some(index);
            }
        }
        self.turn(latents);
    }

    /// Sorts the firings by latent, which keeps the order of the tokens.
    fn turn(&mut self, latents: &Latents) {
        self.first.clear();
        self.first.resize(latents.width + 1, 0);
        for latent in &latents.index {
            self.first[*latent as usize + 1] += 1;
        }
        for l in 0..latents.width {
            self.first[l + 1] += self.first[l];
        }
        self.at.resize(latents.len(), 0);
        self.value.resize(latents.len(), 0.0);
        for token in 0..latents.rows() {
            let (index, value) = latents.row(token);
            for (latent, value) in index.iter().zip(value) {
                let next = &mut self.first[*latent as usize];
                self.at[*next as usize] = token as u32;
                self.value[*next as usize] = *value;
                *next += 1;
            }
        }
        // Each latent's place is now the beginning of the next one's.
        self.first.copy_within(0..latents.width, 1);
        self.first[0] = 0;
    }

    /// Where `latent` fires and how strongly, in the order of the tokens.
    pub fn firings(&self, latent: usize) -> (&[u32], &[f32]) {
        let span = self.first[latent] as usize..self.first[latent + 1] as usize;
        (&self.at[span.clone()], &self.value[span])
    }
}
