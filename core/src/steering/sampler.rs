//! How the next token is chosen.

use crate::error::{Error, ErrorKind, Result};
use candle_core::{Device, Tensor};
use candle_transformers::generation::{LogitsProcessor, Sampling};
use candle_transformers::utils::apply_repeat_penalty;
use serde::{Deserialize, Serialize};

/// How the next token is chosen from the logits: repetition penalty, then temperature, then top-k,
/// then top-p, then a draw.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SamplerSpec {
    /// Divides the logits; 0 takes the likeliest token, always (greedy).
    pub temperature: f64,
    /// Only the likeliest tokens that together reach this probability, above 0 and at most 1;
    /// `None` for all.
    pub top_p: Option<f64>,
    /// Only so many likeliest tokens, at least 1; `None` for all.
    pub top_k: Option<usize>,
    /// Positive logits of tokens seen before are divided by it, negative ones multiplied; 1 does
    /// nothing.
    pub repetition_penalty: f32,
    /// How many last tokens, those of the prompt among them, count as seen before.
    pub repeat_last: usize,
    /// Seed of the draws.
    pub seed: u64,
}

impl Default for SamplerSpec {
    /// Greedy, no penalty.
    fn default() -> Self {
        Self {
            temperature: 0.0,
            top_p: None,
            top_k: None,
            repetition_penalty: 1.0,
            repeat_last: 64,
            seed: 0,
        }
    }
}

impl SamplerSpec {
    /// Whether the numbers make sense.
    ///
    /// # Errors
    /// Names the one that does not.
    pub fn check(&self) -> Result<()> {
        let refuse = |what: String, remedy: &str| {
            Err(Error::setting(what, "no token could be chosen by it", remedy))
        };
        if !(self.temperature.is_finite() && self.temperature >= 0.0) {
            let what = format!("A temperature of {} makes no sense", self.temperature);
            return refuse(what, "Choose 0 for the likeliest tokens, or a number above 0");
        }
        if let Some(p) = self.top_p
            && !(p > 0.0 && p <= 1.0)
        {
            return refuse(
                format!("A top-p of {p} makes no sense"),
                "Choose one above 0 and at most 1",
            );
        }
        if self.top_k == Some(0) {
            return refuse("A top-k of 0 makes no sense".to_owned(), "Choose at least 1");
        }
        if !(self.repetition_penalty.is_finite() && self.repetition_penalty > 0.0) {
            let what =
                format!("A repetition penalty of {} makes no sense", self.repetition_penalty);
            return refuse(what, "Choose 1 for none, or a little more");
        }
        Ok(())
    }

    fn sampling(&self) -> Sampling {
        let temperature = self.temperature;
        match (self.top_k, self.top_p) {
            // The library divides by it.
            _ if temperature == 0.0 => Sampling::ArgMax,
            (None, None) => Sampling::All { temperature },
            (Some(k), None) => Sampling::TopK { k, temperature },
            (None, Some(p)) => Sampling::TopP { p, temperature },
            (Some(k), Some(p)) => Sampling::TopKThenTopP { k, p, temperature },
        }
    }
}

/// Chooses the tokens of one stream.
pub(super) struct Sampler {
    spec: SamplerSpec,
    processor: LogitsProcessor,
}

impl Sampler {
    pub fn new(spec: &SamplerSpec) -> Self {
        let processor = LogitsProcessor::from_sampling(spec.seed, spec.sampling());
        Self { spec: spec.clone(), processor }
    }

    /// The token after `text`, by its logits.
    ///
    /// # Errors
    /// A logit that is no finite number.
    pub fn choose(&mut self, logits: &[f32], text: &[u32]) -> Result<u32> {
        let wrong = |why: String| {
            Error::new(
                ErrorKind::Numeric,
                "The next token cannot be chosen",
                why,
                "Weaken the edits, or choose a higher temperature",
            )
        };
        // The greedy choice would pass over a not-a-number in silence.
        if let Some(x) = logits.iter().find(|x| !x.is_finite()) {
            return Err(wrong(format!("a logit is {x}")));
        }
        let mut row = Tensor::from_slice(logits, logits.len(), &Device::Cpu)?;
        if self.spec.repetition_penalty != 1.0 {
            let seen = &text[text.len().saturating_sub(self.spec.repeat_last)..];
            row = apply_repeat_penalty(&row, self.spec.repetition_penalty, seen)?;
        }
        self.processor.sample(&row).map_err(|e| wrong(e.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_make_no_sense_are_named() {
        let usual = SamplerSpec::default();
        let cases = [
            (SamplerSpec { temperature: -1.0, ..usual.clone() }, "temperature of -1"),
            (SamplerSpec { temperature: f64::NAN, ..usual.clone() }, "temperature of NaN"),
            (SamplerSpec { top_p: Some(0.0), ..usual.clone() }, "top-p of 0"),
            (SamplerSpec { top_p: Some(1.5), ..usual.clone() }, "top-p of 1.5"),
            (SamplerSpec { top_k: Some(0), ..usual.clone() }, "top-k of 0"),
            (SamplerSpec { repetition_penalty: 0.0, ..usual.clone() }, "penalty of 0"),
        ];
        for (spec, words) in cases {
            let error = spec.check().unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
        usual.check().unwrap();
    }

    #[test]
    fn each_setting_does_what_it_says() {
        let logits = [1.0f32, 3.0, 2.0, 2.9];
        let drawn = |spec: SamplerSpec, text: &[u32]| -> Vec<u32> {
            let mut sampler = Sampler::new(&spec);
            let mut ids: Vec<u32> =
                (0..400).map(|_| sampler.choose(&logits, text).unwrap()).collect();
            ids.sort_unstable();
            ids.dedup();
            ids
        };
        let warm = SamplerSpec { temperature: 1.0, seed: 3, ..SamplerSpec::default() };
        assert_eq!(drawn(SamplerSpec::default(), &[]), [1]);
        assert_eq!(drawn(warm.clone(), &[]), [0, 1, 2, 3]);
        assert_eq!(drawn(SamplerSpec { top_k: Some(2), ..warm.clone() }, &[]), [1, 3]);
        // Shares 0.06, 0.43, 0.16, 0.39 of the four.
        assert_eq!(drawn(SamplerSpec { top_p: Some(0.5), ..warm.clone() }, &[]), [1, 3]);
        assert_eq!(drawn(SamplerSpec { top_p: Some(0.4), ..warm.clone() }, &[]), [1]);
        assert_eq!(drawn(SamplerSpec { top_k: Some(3), top_p: Some(1.0), ..warm }, &[]), [1, 2, 3]);
        // 3 / 1.1 falls below 2.9, unless token 1 is too far back.
        let shy = SamplerSpec { repetition_penalty: 1.1, repeat_last: 2, ..SamplerSpec::default() };
        assert_eq!(drawn(shy.clone(), &[0, 1]), [3]);
        assert_eq!(drawn(shy, &[1, 0, 0]), [1]);
        let mut sampler = Sampler::new(&SamplerSpec::default());
        assert!(sampler.choose(&[0.0, f32::NAN], &[]).is_err());
    }
}
