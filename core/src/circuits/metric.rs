//! The metric F, its value and its gradient, read from the residual stream at one site.

use super::{Example, Metric, Pool};
use crate::error::{Error, ErrorKind, Result};
use crate::llama::{Model, Readout, Rules, Site};
use candle_core::{DType, Tensor};

impl Metric {
    /// The site that it is read from: nothing later plays a part.
    pub fn site(&self, model: &Model) -> Site {
        match self {
            Self::LogitDifference | Self::LogProbability => {
                model.config().layers.checked_sub(1).map_or(Site::Embed, Site::Resid)
            }
            Self::Probe { site, .. } => *site,
        }
    }
}

/// A metric ready for some examples.
///
/// It reads F of each row from the output of [`Gauge::site`]: `[rows, positions, width]`, of which
/// the last position is that of the example.
#[derive(Debug, Clone)]
pub struct Gauge {
    site: Site,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Logits {
        readout: Readout,
        /// Of each example, the places of its clean answers among the tokens read out, and of what
        /// they are compared with (`None`: with all tokens).
        sets: Vec<(Vec<usize>, Option<Vec<usize>>)>,
    },
    Probe {
        weights: Vec<f64>,
        bias: f64,
        pool: Pool,
        signs: Vec<f64>,
        /// Of each example, ⟨w, Σ x⟩ over positions that come before those that are read.
        before: Vec<f64>,
        /// How many these are.
        first: usize,
    },
}

impl Gauge {
    /// `metric` on `examples` of `model`.
    ///
    /// # Errors
    /// An example without the answers that the metric compares, or with a token that the model does
    /// not have; a probe of another width, or with a NaN.
    pub fn new(model: &Model, metric: &Metric, examples: &[&Example]) -> Result<Self> {
        let site = metric.site(model).within(model.config().layers)?;
        let kind = match metric {
            Metric::LogitDifference => {
                let answers = examples.iter().flat_map(|e| e.right.iter().chain(&e.wrong));
                let mut tokens: Vec<u32> = answers.copied().collect();
                tokens.sort_unstable();
                tokens.dedup();
                let places = |set: &[u32]| -> Vec<usize> {
                    set.iter().filter_map(|token| tokens.binary_search(token).ok()).collect()
                };
                let sets = examples.iter().map(|e| (places(&e.right), Some(places(&e.wrong))));
                let sets: Vec<_> = sets.collect();
                Kind::Logits { readout: model.readout(Some(&tokens))?, sets }
            }
            Metric::LogProbability => {
                let places = |set: &[u32]| set.iter().map(|token| *token as usize).collect();
                let sets = examples.iter().map(|e| (places(&e.right), None)).collect();
                Kind::Logits { readout: model.readout(None)?, sets }
            }
            Metric::Probe { weights, bias, pool, .. } => {
                let width = model.config().width;
                if weights.len() != width || !weights.iter().all(|w| w.is_finite()) {
                    return Err(Error::setting(
                        format!("The probe at {site} cannot be used"),
                        format!("it has {} weights, not {width} numbers", weights.len()),
                        "Use a probe that was made for this model at this site",
                    ));
                }
                Kind::Probe {
                    weights: weights.iter().map(|w| f64::from(*w)).collect(),
                    bias: f64::from(*bias),
                    pool: *pool,
                    signs: examples.iter().map(|e| if e.negate { -1.0 } else { 1.0 }).collect(),
                    before: vec![0.0; examples.len()],
                    first: 0,
                }
            }
        };
        if let Kind::Logits { sets, .. } = &kind {
            let empty = |(right, wrong): &(Vec<usize>, Option<Vec<usize>>)| {
                right.is_empty() || wrong.as_ref().is_some_and(Vec::is_empty)
            };
            if let Some(at) = sets.iter().position(empty) {
                return Err(Error::internal(
                    format!("The {} cannot be measured", metric.name()),
                    format!("pair {} has no answers for it", examples[at].pair),
                ));
            }
        }
        Ok(Self { site, kind })
    }

    /// Where it reads.
    pub fn site(&self) -> Site {
        self.site
    }

    /// The same for rows that lack their first positions, whose output at the site is `before`:
    /// `[examples, positions, width]`.
    ///
    /// # Errors
    /// Not one row for each example.
    pub fn behind(mut self, before: &Tensor) -> Result<Self> {
        if let Kind::Probe { weights, before: sums, first, .. } = &mut self.kind {
            let (rows, positions, _) = before.dims3()?;
            if rows != sums.len() {
                return Err(misfit(format!("{rows} rows for {} examples", sums.len())));
            }
            *first = positions;
            for (sum, row) in sums.iter_mut().zip(doubles(before)?) {
                *sum = row.chunks(weights.len()).map(|x| dot(weights, x)).sum();
            }
        }
        Ok(self)
    }

    /// F of each row of `x`; `of` says whose row each is.
    ///
    /// # Errors
    /// Rows of another shape; a value that is NaN or infinite.
    pub fn values(&self, x: &Tensor, of: &[usize]) -> Result<Vec<f64>> {
        Ok(self.read(x, of, None)?.0)
    }

    /// F of each row of `x` and its gradient there, `[rows, positions, width]`; `rules` says what is
    /// linearised.
    ///
    /// # Errors
    /// As [`Gauge::values`].
    pub fn gradients(&self, x: &Tensor, of: &[usize], rules: &Rules) -> Result<(Vec<f64>, Tensor)> {
        let (values, gradient) = self.read(x, of, Some(rules))?;
        let gradient = gradient.ok_or_else(|| misfit("no gradient was made".to_owned()))?;
        Ok((values, gradient))
    }

    fn read(
        &self,
        x: &Tensor,
        of: &[usize],
        rules: Option<&Rules>,
    ) -> Result<(Vec<f64>, Option<Tensor>)> {
        let (rows, positions, width) = x.dims3()?;
        if rows != of.len() || of.iter().any(|example| *example >= self.examples()) {
            return Err(misfit(format!("{rows} rows for {} names of examples", of.len())));
        }
        let (values, gradient) = match &self.kind {
            Kind::Logits { readout, sets } => {
                let last = x.narrow(1, positions - 1, 1)?.contiguous()?.reshape((rows, width))?;
                let logits = doubles(&readout.logits(&last)?)?;
                let read: Vec<_> =
                    logits.iter().zip(of).map(|(l, e)| compare(l, &sets[*e])).collect();
                let gradient = match rules {
                    None => None,
                    Some(rules) => {
                        let at_logits: Vec<f64> = read.iter().flat_map(|r| r.1.clone()).collect();
                        let shape = (rows, at_logits.len() / rows.max(1));
                        let at_logits = tensor(at_logits, shape, x)?;
                        let last = readout.backward(&last, &at_logits, rules)?;
                        Some(behind_zeros(&last, positions)?)
                    }
                };
                (read.into_iter().map(|r| r.0).collect(), gradient)
            }
            Kind::Probe { weights, bias, pool, signs, before, first } => {
                let whole = (first + positions) as f64;
                let value = |(x, example): (Vec<f64>, &usize)| {
                    let pooled = match pool {
                        Pool::Last => dot(weights, &x[(positions - 1) * width..]),
                        Pool::Mean => {
                            let sum: f64 = x.chunks(width).map(|x| dot(weights, x)).sum();
                            (before[*example] + sum) / whole
                        }
                    };
                    signs[*example] * (pooled + bias)
                };
                let values = doubles(x)?.into_iter().zip(of).map(value).collect();
                let gradient = rules.map(|_| {
                    let mut gradient = Vec::with_capacity(rows * positions * width);
                    for example in of {
                        for position in 0..positions {
                            let factor = match pool {
                                Pool::Mean => signs[*example] / whole,
                                Pool::Last if position + 1 == positions => signs[*example],
                                Pool::Last => 0.0,
                            };
                            gradient.extend(weights.iter().map(|w| w * factor));
                        }
                    }
                    tensor(gradient, (rows, positions, width), x)
                });
                (values, gradient.transpose()?)
            }
        };
        let values: Vec<f64> = values;
        if let Some(at) = values.iter().position(|v| !v.is_finite()) {
            return Err(Error::new(
                ErrorKind::Numeric,
                format!("The metric could not be read from {}", self.site),
                format!("it is {} for row {at} of its batch", values[at]),
                "Check the model's weights and the edits in force",
            ));
        }
        Ok((values, gradient))
    }

    fn examples(&self) -> usize {
        match &self.kind {
            Kind::Logits { sets, .. } => sets.len(),
            Kind::Probe { signs, .. } => signs.len(),
        }
    }
}

/// Log-sum-exp of the clean answers' logits less that of the others, and its gradient.
fn compare(logits: &[f64], (right, wrong): &(Vec<usize>, Option<Vec<usize>>)) -> (f64, Vec<f64>) {
    let mut gradient = vec![0.0; logits.len()];
    let mut side = |places: &mut dyn Iterator<Item = usize>, sign: f64| {
        let places: Vec<usize> = places.collect();
        let top = places.iter().map(|i| logits[*i]).fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = places.iter().map(|i| (logits[*i] - top).exp()).sum();
        for i in places {
            gradient[i] += sign * (logits[i] - top).exp() / sum;
        }
        sign * (top + sum.ln())
    };
    let value = side(&mut right.iter().copied(), 1.0)
        + match wrong {
            Some(wrong) => side(&mut wrong.iter().copied(), -1.0),
            None => side(&mut (0..logits.len()), -1.0),
        };
    (value, gradient)
}

/// `last` `[rows, width]` as the last of so many positions, the others being zero.
fn behind_zeros(last: &Tensor, positions: usize) -> Result<Tensor> {
    let (rows, width) = last.dims2()?;
    let before = Tensor::zeros((rows, positions - 1, width), last.dtype(), last.device())?;
    Ok(Tensor::cat(&[before, last.unsqueeze(1)?], 1)?.contiguous()?)
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Each row (all that follows the first axis) as f64.
fn doubles(x: &Tensor) -> Result<Vec<Vec<f64>>> {
    let rows = x.dim(0)?;
    let all: Vec<f64> = x.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?;
    Ok(all.chunks((all.len() / rows.max(1)).max(1)).map(<[f64]>::to_vec).collect())
}

fn tensor(values: Vec<f64>, shape: impl Into<candle_core::Shape>, like: &Tensor) -> Result<Tensor> {
    // Not every device has f64.
    let values = Tensor::from_vec(values, shape, &candle_core::Device::Cpu)?;
    Ok(values.to_dtype(like.dtype())?.to_device(like.device())?)
}

fn misfit(why: String) -> Error {
    Error::internal("The metric could not be read", why)
}
