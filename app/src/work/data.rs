//! The first rows of a corpus.

use crate::state::Preview;
use sparsescope_core::Result;
use sparsescope_core::corpus::{CorpusSpec, RowSpec, Rows};
use sparsescope_core::jobs::JobContext;
use sparsescope_core::llama::Model;

/// Rows shown.
const SHOWN: usize = 6;

/// Tokens looked at, for the counts beside the rows.
const SAMPLE: u64 = 50_000;

/// The first rows of `corpus` as `model` would see them, and what a sample of it is like.
pub fn preview(
    ctx: &JobContext,
    model: &Model,
    corpus: &CorpusSpec,
    spec: RowSpec,
) -> Result<Preview> {
    let spec = spec.within(model.config().context)?;
    let tokenizer = model.need_tokenizer()?;
    let mut rows = Rows::new(corpus.open(0)?, sparsescope_core::corpus::encoder_of(model)?, spec)?;
    let mut preview = Preview { whole: true, ..Preview::default() };
    let mut characters = 0;
    let mut documents = None;
    while let Some(row) = rows.next_row()? {
        ctx.check()?;
        let texts = || row.tokens.iter().map(|&id| tokenizer.token_text(id));
        if preview.rows.len() < SHOWN {
            preview.rows.push(texts().map(str::to_owned).collect());
        }
        characters += texts().map(|t| t.chars().count() as u64).sum::<u64>();
        documents = row.document.last().copied().max(documents);
        preview.tokens += row.len() as u64;
        preview.row_count += 1;
        if preview.tokens >= SAMPLE {
            preview.whole = rows.next_row()?.is_none();
            break;
        }
    }
    preview.documents = documents.map_or(0, |last| last + 1);
    preview.characters_a_token = characters as f64 / preview.tokens.max(1) as f64;
    preview.note = rows.note();
    Ok(preview)
}
