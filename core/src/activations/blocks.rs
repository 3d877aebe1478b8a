//! The stream in blocks: each a stretch of the corpus, shuffled within itself.

use super::StreamSpec;
use super::forward::{read_rows, read_rows_at};
use crate::corpus::{Row, Rows, encoder_of};
use crate::error::{Error, Result};
use crate::llama::{Model, Site};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// Rows of the stream's beginning whose norms tell what an outlier is.
const CALIBRATED_ON: usize = 4096;

/// A stretch of the stream: where its rows are from, and in which order they are handed out.
#[derive(Debug, Default)]
pub(super) struct Block {
    /// For each site `[n, width]`, in the order of the text.
    pub activations: Vec<Vec<f32>>,
    pub token: Vec<u32>,
    pub document: Vec<u64>,
    pub position: Vec<u32>,
    /// Whether the row is of outlier norm at the first site.
    pub outlier: Vec<bool>,
    /// The shuffled order: indices of rows.
    pub order: Vec<u32>,
}

/// Reads a corpus block by block.
///
/// A block is the token rows from where the last one ended until they hold `buffer` used tokens; it
/// never reaches across the end of the corpus. Which rows are in which block depends on the text
/// alone, so a block can be passed over without running the model, and computed without those
/// before it.
pub(super) struct Blocks {
    model: Model,
    spec: StreamSpec,
    /// The sites that are read, in the order their rows are handed out.
    sites: Vec<Site>,
    rows: Rows,
    /// Passes over the corpus that are complete.
    pass: u64,
    /// Blocks of this pass that are done.
    block: u64,
    /// The token rows of the next block, if they were looked at already.
    ahead: Vec<Row>,
    /// Median norm of the first rows at the first site; the norm from which on a row is an outlier is a multiple.
    median: Option<f32>,
}

impl Blocks {
    pub fn new(model: Model, spec: StreamSpec, sites: Vec<Site>) -> Result<Self> {
        let config = model.config();
        for site in &sites {
            site.within(config.layers)?;
        }
        spec.rows.within(config.context)?;
        let wrong = |what: String, why: &str, remedy: &str| Err(Error::setting(what, why, remedy));
        if spec.buffer == 0 || spec.batch == 0 {
            return wrong(
                format!("A buffer of {} and a batch of {} are no use", spec.buffer, spec.batch),
                "both need at least one row",
                "Choose greater ones",
            );
        }
        let multiple = spec.outliers.multiple;
        if multiple.is_nan() || multiple <= 1.0 {
            return wrong(
                format!("{multiple} times the median norm cannot tell outliers"),
                "half of all tokens are longer than the median",
                "Choose a multiple over 1, for example 10",
            );
        }
        if sites.len() > 1 && spec.outliers.leave_out {
            return wrong(
                "Outliers cannot be left out where several sites are read at once".to_owned(),
                "a token that is too long at one site is not at another, and all get the same tokens",
                "Keep the outliers, or read one site at a time",
            );
        }
        let rows = Rows::new(spec.corpus.open(spec.seed)?, encoder_of(&model)?, spec.rows)?;
        Ok(Self { model, spec, sites, rows, pass: 0, block: 0, ahead: Vec::new(), median: None })
    }

    pub fn model(&self) -> &Model {
        &self.model
    }

    pub fn sites(&self) -> &[Site] {
        &self.sites
    }

    pub fn spec(&self) -> &StreamSpec {
        &self.spec
    }

    pub fn median(&self) -> Option<f32> {
        self.median
    }

    pub fn note(&self) -> Option<String> {
        self.rows.note()
    }

    /// Goes to the beginning of a pass.
    pub fn start_pass(&mut self, pass: u64) -> Result<()> {
        self.pass = pass;
        self.block = 0;
        self.ahead.clear();
        self.rows.rewind()
    }

    pub fn pass(&self) -> u64 {
        self.pass
    }

    /// How many rows the next block has, without running the model; 0 at the end of the pass.
    pub fn look(&mut self, check: &dyn Fn() -> Result<()>) -> Result<usize> {
        if self.ahead.is_empty() {
            self.ahead = take(&mut self.rows, self.spec.buffer, check)?;
        }
        Ok(self.ahead.iter().map(Row::used_tokens).sum())
    }

    /// Passes over the block that [`Blocks::look`] saw.
    pub fn skip(&mut self) {
        self.ahead.clear();
        self.block += 1;
    }

    /// The next block; `None` at the end of the pass. After an error (a cancelled job) it still
    /// stands before this block.
    pub fn next(&mut self, check: &dyn Fn() -> Result<()>) -> Result<Option<Block>> {
        let median = match self.median {
            Some(median) => median,
            None => self.calibrate(check)?,
        };
        if self.look(check)? == 0 {
            return Ok(None);
        }
        let width = self.model.config().width;
        let rows = &self.ahead;
        let activations = read_rows_at(&self.model, &self.sites, rows, self.spec.batch, check)?;
        let limit = f64::from(self.spec.outliers.multiple) * f64::from(median);
        let mut block = Block {
            outlier: norms(&activations[0], width).map(|n| f64::from(n) > limit).collect(),
            activations,
            ..Block::default()
        };
        for row in rows {
            for i in (0..row.len()).filter(|i| row.used[*i]) {
                block.token.push(row.tokens[i]);
                block.document.push(row.document[i]);
                block.position.push(row.position[i]);
            }
        }
        block.order = (0..block.token.len() as u32).collect();
        block.order.shuffle(&mut self.rng());
        self.skip();
        Ok(Some(block))
    }

    /// Finds the median norm of the first rows of the corpus.
    fn calibrate(&mut self, check: &dyn Fn() -> Result<()>) -> Result<f32> {
        let spec = &self.spec;
        let mut rows =
            Rows::new(spec.corpus.open(spec.seed)?, encoder_of(&self.model)?, spec.rows)?;
        let rows = take(&mut rows, CALIBRATED_ON, check)?;
        let x = read_rows(&self.model, self.sites[0], &rows, spec.batch, check)?;
        let mut norms: Vec<f32> = norms(&x, self.model.config().width).collect();
        if norms.is_empty() {
            return Err(self.empty());
        }
        let middle = norms.len() / 2;
        let median = *norms.select_nth_unstable_by(middle, f32::total_cmp).1;
        self.median = Some(median);
        Ok(median)
    }

    /// The corpus has no token whose activation could be used.
    pub fn empty(&self) -> Error {
        Error::format(
            format!("The corpus {} gives no activations", self.spec.corpus),
            "the tokenizer makes no token of its text",
            "Choose a corpus in a language that the model reads",
        )
    }

    /// The random numbers that shuffle the block now being read.
    fn rng(&self) -> ChaCha8Rng {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&self.spec.seed.to_le_bytes());
        seed[8..16].copy_from_slice(&self.pass.to_le_bytes());
        seed[16..24].copy_from_slice(&self.block.to_le_bytes());
        ChaCha8Rng::from_seed(seed)
    }
}

/// Token rows until they hold `used` used tokens, or the corpus ends.
fn take(rows: &mut Rows, used: usize, check: &dyn Fn() -> Result<()>) -> Result<Vec<Row>> {
    let mut taken = Vec::new();
    let mut held = 0;
    while held < used {
        if taken.len() % 64 == 0 {
            check()?;
        }
        let Some(row) = rows.next_row()? else { break };
        held += row.used_tokens();
        taken.push(row);
    }
    Ok(taken)
}

/// ‖x‖ of each row.
pub(super) fn norms(x: &[f32], width: usize) -> impl Iterator<Item = f32> + '_ {
    x.chunks_exact(width)
        .map(|row| row.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt() as f32)
}
