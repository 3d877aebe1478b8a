//! Text that the model writes, token by token, through the same forward pass.

use super::{Cache, Change, Logits, Model, Plan, Site, Tokens};
use crate::error::{Error, Result};
use candle_core::{DType, Tensor};
use candle_transformers::generation::LogitsProcessor;
pub use candle_transformers::generation::Sampling;

/// How to write on.
#[derive(Clone)]
pub struct Generation<'a> {
    /// Most tokens to write.
    pub tokens: usize,
    /// How the next token is chosen; [`Sampling::ArgMax`] is greedy.
    pub sampling: Sampling,
    /// Seed of the choice.
    pub seed: u64,
    /// Changes made at every step.
    pub change: &'a [(Site, &'a dyn Change)],
    /// Asked between blocks; its error ends the generation.
    pub check: Option<&'a dyn Fn() -> Result<()>>,
}

impl Default for Generation<'_> {
    /// Fifty greedy tokens.
    fn default() -> Self {
        Self { tokens: 50, sampling: Sampling::ArgMax, seed: 0, change: &[], check: None }
    }
}

impl Model {
    /// Writes on after `prompt` until an end-of-text token, the number of tokens asked for, or the
    /// end of the context; hands each new token to `each` as it comes. Returns the new tokens,
    /// without the one that ends the text.
    ///
    /// # Errors
    /// As [`Model::forward`]; a temperature that is not above 0; whatever `each` returns.
    pub fn generate(
        &self,
        prompt: &[u32],
        how: &Generation<'_>,
        each: &mut dyn FnMut(u32) -> Result<()>,
    ) -> Result<Vec<u32>> {
        check_sampling(&how.sampling)?;
        let mut processor = LogitsProcessor::from_sampling(how.seed, how.sampling.clone());
        let plan =
            Plan { change: how.change, logits: Logits::Last, check: how.check, ..Plan::default() };
        let room = self.config().context.saturating_sub(prompt.len());
        let mut cache = Cache::new();
        let mut written = Vec::new();
        let mut next = Tokens::row(prompt)?;
        while written.len() < how.tokens.min(room) {
            let pass = self.forward_cached(&next, &plan, &mut cache)?;
            let id = choose(&mut processor, pass.logits)?;
            if self.config().eos.contains(&id) {
                break;
            }
            written.push(id);
            each(id)?;
            next = Tokens::row(&[id])?;
        }
        Ok(written)
    }
}

fn choose(processor: &mut LogitsProcessor, logits: Option<Tensor>) -> Result<u32> {
    let logits = logits.ok_or_else(|| Error::internal("No token was chosen", "no logits"))?;
    let row = logits.get(0)?;
    let wrong = |why: String| {
        Error::new(
            crate::ErrorKind::Numeric,
            "The next token cannot be chosen",
            why,
            "Choose a higher temperature, or weaken the edits",
        )
    };
    // The greedy choice would pass over a not-a-number in silence.
    if row.to_dtype(DType::F32)?.to_vec1::<f32>()?.iter().any(|x| !x.is_finite()) {
        return Err(wrong("a logit is infinite or not a number".to_owned()));
    }
    processor.sample(&row).map_err(|e| wrong(e.to_string()))
}

fn check_sampling(sampling: &Sampling) -> Result<()> {
    let temperature = match *sampling {
        Sampling::ArgMax => return Ok(()),
        Sampling::All { temperature }
        | Sampling::TopK { temperature, .. }
        | Sampling::TopP { temperature, .. }
        | Sampling::TopKThenTopP { temperature, .. }
        | Sampling::GumbelSoftmax { temperature } => temperature,
    };
    if temperature.is_finite() && temperature > 0.0 {
        return Ok(());
    }
    Err(Error::setting(
        format!("A temperature of {temperature} makes no sense"),
        "it divides the logits",
        "Choose one above 0, or greedy text",
    ))
}
