//! What the model expects next, and how likely it finds a text.

use super::loss::log_sum_exp;
use super::{Logits, Model, Plan, Tokens, next_token_nll};
use crate::error::Result;
use candle_core::DType;
use serde::{Deserialize, Serialize};

/// A token that may come next.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NextToken {
    /// Its number.
    pub id: u32,
    /// As it should be drawn; empty without a tokenizer.
    pub text: String,
    /// Its logit.
    pub logit: f32,
    /// Its probability.
    pub probability: f64,
}

impl Model {
    /// The `count` likeliest tokens after `ids`, likeliest first; of equals the lower number first.
    ///
    /// # Errors
    /// As [`Model::forward`].
    pub fn next_tokens(&self, ids: &[u32], count: usize) -> Result<Vec<NextToken>> {
        let plan = Plan { logits: Logits::Last, ..Plan::default() };
        let pass = self.forward(&Tokens::row(ids)?, &plan)?;
        let Some(logits) = pass.logits else { return Ok(Vec::new()) };
        let row = logits.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
        Ok(self.likeliest(&row, count))
    }

    /// The `count` likeliest tokens of one row of logits.
    pub fn likeliest(&self, logits: &[f32], count: usize) -> Vec<NextToken> {
        let norm = log_sum_exp(logits);
        let mut order: Vec<u32> = (0..logits.len() as u32).collect();
        let by_logit =
            |&a: &u32, &b: &u32| logits[b as usize].total_cmp(&logits[a as usize]).then(a.cmp(&b));
        if count < order.len() {
            order.select_nth_unstable_by(count, by_logit);
            order.truncate(count);
        }
        order.sort_unstable_by(by_logit);
        let token = |id: u32| {
            let logit = logits[id as usize];
            NextToken {
                id,
                text: self.tokenizer().map_or(String::new(), |t| t.token_text(id).to_owned()),
                logit,
                probability: (f64::from(logit) - norm).exp(),
            }
        };
        order.into_iter().map(token).collect()
    }

    /// Mean negative log-likelihood of the tokens after the first, in nats; `None` for fewer than
    /// two tokens.
    ///
    /// # Errors
    /// As [`Model::forward`].
    pub fn mean_nll(&self, ids: &[u32]) -> Result<Option<f64>> {
        if ids.len() < 2 {
            return Ok(None);
        }
        let tokens = Tokens::row(ids)?;
        let plan = Plan { logits: Logits::All, ..Plan::default() };
        let Some(logits) = self.forward(&tokens, &plan)?.logits else { return Ok(None) };
        let nll = next_token_nll(&logits, &tokens)?;
        Ok(Some(nll.iter().sum::<f64>() / nll.len() as f64))
    }
}
