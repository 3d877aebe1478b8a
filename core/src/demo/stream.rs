//! The token stream that the built-in model learns from, and rows of whole documents.

use super::bpe::{BOS, EOS};
use crate::error::Result;
use crate::llama::TokenizerHandle;
use crate::world::{Split, Writer};
use rayon::prelude::*;

/// Documents cut into tokens at once.
const CHUNK: usize = 512;

/// BOS, document, EOS, BOS, document, …, cut into rows.
pub(super) struct Stream<'a> {
    tokenizer: &'a TokenizerHandle,
    writer: Writer,
    ready: Vec<u32>,
    at: usize,
}

impl<'a> Stream<'a> {
    pub(super) fn new(tokenizer: &'a TokenizerHandle, seed: u64) -> Self {
        Self { tokenizer, writer: Writer::new(seed, Split::Train), ready: Vec::new(), at: 0 }
    }

    /// The next `batch` rows of `positions + 1` tokens: inputs and, one further, targets.
    pub(super) fn rows(&mut self, batch: usize, positions: usize) -> Result<(Vec<u32>, Vec<u32>)> {
        let (mut inputs, mut targets) = (Vec::new(), Vec::new());
        for _ in 0..batch {
            while self.ready.len() < self.at + positions + 1 {
                self.refill()?;
            }
            let row = &self.ready[self.at..][..positions + 1];
            inputs.extend_from_slice(&row[..positions]);
            targets.extend_from_slice(&row[1..]);
            // The last token is the first of the next row, so that no target is lost.
            self.at += positions;
        }
        Ok((inputs, targets))
    }

    fn refill(&mut self) -> Result<()> {
        self.ready.drain(..self.at);
        self.at = 0;
        let texts: Vec<String> = (&mut self.writer).take(CHUNK).map(|d| d.text).collect();
        let rows: Vec<Vec<u32>> = texts
            .par_iter()
            .map(|text| document_row(self.tokenizer, text))
            .collect::<Result<_>>()?;
        self.ready.extend(rows.into_iter().flatten());
        Ok(())
    }
}

/// BOS, the document's tokens, EOS.
pub(super) fn document_row(tokenizer: &TokenizerHandle, text: &str) -> Result<Vec<u32>> {
    let mut row = Vec::with_capacity(text.len() / 2);
    row.push(BOS);
    row.extend(tokenizer.encode(text, false)?);
    row.push(EOS);
    Ok(row)
}

/// For each token of a document's row, the bytes of text read when it is read: 0 for BOS.
pub(super) fn ends(tokenizer: &TokenizerHandle, row: &[u32]) -> Vec<usize> {
    let mut at = 0;
    // The first token has a space before it that the text does not have.
    let mut first = 1;
    row.iter()
        .map(|&id| {
            if id != BOS && id != EOS {
                at += tokenizer.token_text(id).len() - first;
                first = 0;
            }
            at
        })
        .collect()
}
