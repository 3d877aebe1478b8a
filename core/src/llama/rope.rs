//! Rotary position embeddings: frequencies, their scaling, tables of cosines and sines.

use super::Config;
use super::config::{number, wrong};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::f64::consts::PI;

/// How the rotary frequencies are scaled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Rope {
    /// Not at all.
    #[default]
    Default,
    /// All divided by `factor`.
    Linear {
        /// How much further positions reach.
        factor: f64,
    },
    /// Llama 3.1: low frequencies divided by `factor`, high ones kept, a ramp between.
    Llama3 {
        /// How much further low frequencies reach.
        factor: f64,
        /// Wavelengths longer than `original / low` are scaled in full.
        low: f64,
        /// Wavelengths shorter than `original / high` are kept.
        high: f64,
        /// Context the model was first trained with.
        original: f64,
    },
}

impl Rope {
    pub(super) fn check(self) -> Result<()> {
        let positive = |x: f64| x.is_finite() && x > 0.0;
        let good = match self {
            Self::Default => true,
            Self::Linear { factor } => positive(factor),
            Self::Llama3 { factor, low, high, original } => {
                positive(factor)
                    && positive(low)
                    && positive(original)
                    && high > low
                    && high.is_finite()
            }
        };
        if good { Ok(()) } else { Err(wrong(format!("its rotary scaling is {self:?}"))) }
    }

    pub(super) fn to_json(self) -> Value {
        match self {
            Self::Default => json!({"rope_type": "default"}),
            Self::Linear { factor } => json!({"rope_type": "linear", "factor": factor}),
            Self::Llama3 { factor, low, high, original } => json!({
                "rope_type": "llama3",
                "factor": factor,
                "low_freq_factor": low,
                "high_freq_factor": high,
                "original_max_position_embeddings": original as u64,
            }),
        }
    }
}

/// Base and scaling, from `rope_parameters` (transformers 5) or `rope_theta` and `rope_scaling`.
pub(super) fn from_json(config: &Value) -> Result<(f64, Rope)> {
    let object = |key: &str| match config.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value @ Value::Object(_)) => Ok(Some(value)),
        Some(value) => Err(wrong(format!("{key} is {value}"))),
    };
    let scaling = match object("rope_parameters")? {
        Some(new) => Some(new),
        None => object("rope_scaling")?,
    };
    let theta = match scaling.map_or(Ok(None), |s| number(s, "rope_theta"))? {
        Some(theta) => Some(theta),
        None => number(config, "rope_theta")?,
    };
    for place in scaling.into_iter().chain([config]) {
        if number(place, "partial_rotary_factor")?.is_some_and(|part| part != 1.0) {
            return Err(unsupported("partial_rotary_factor"));
        }
    }
    let rope = match scaling {
        Some(scaling) => scaled(scaling)?,
        None => Rope::Default,
    };
    Ok((theta.unwrap_or(10_000.0), rope))
}

fn scaled(scaling: &Value) -> Result<Rope> {
    let kind = match scaling.get("rope_type").or_else(|| scaling.get("type")) {
        None | Some(Value::Null) => "default",
        Some(Value::String(kind)) => kind,
        Some(other) => return Err(wrong(format!("the type of its rotary scaling is {other}"))),
    };
    let need = |key: &str| {
        number(scaling, key)?.ok_or_else(|| wrong(format!("its {kind} rotary scaling lacks {key}")))
    };
    match kind {
        "default" => Ok(Rope::Default),
        "linear" => Ok(Rope::Linear { factor: need("factor")? }),
        "llama3" => Ok(Rope::Llama3 {
            factor: need("factor")?,
            low: need("low_freq_factor")?,
            high: need("high_freq_factor")?,
            original: need("original_max_position_embeddings")?,
        }),
        other => Err(unsupported(&format!("the type {other:?}"))),
    }
}

fn unsupported(what: &str) -> Error {
    Error::format(
        "This model cannot be opened",
        format!(
            "its rotary scaling has {what}; those computed here are default, linear and llama3"
        ),
        "Choose another model",
    )
}

/// The frequency of each pair of a head's numbers, `head_dim / 2` of them, rounded to f32 as the
/// reference implementation keeps them.
pub fn frequencies(config: &Config) -> Vec<f32> {
    let pairs = config.head_dim / 2;
    let plain =
        (0..pairs).map(|i| config.rope_theta.powf(-(2.0 * i as f64) / config.head_dim as f64));
    plain.map(|f| scale(config.rope, f) as f32).collect()
}

/// The llama3 rule is that of transformers' `_compute_llama3_parameters`.
fn scale(rope: Rope, frequency: f64) -> f64 {
    match rope {
        Rope::Default => frequency,
        Rope::Linear { factor } => frequency / factor,
        Rope::Llama3 { factor, low, high, original } => {
            let wavelength = 2.0 * PI / frequency;
            if wavelength < original / high {
                frequency
            } else if wavelength > original / low {
                frequency / factor
            } else {
                let ramp = (original / wavelength - low) / (high - low);
                (1.0 - ramp) * frequency / factor + ramp * frequency
            }
        }
    }
}

/// Cosines and sines of positions `first..first + count`, each `[count, head_dim / 2]` row by row.
pub(super) fn table(config: &Config, first: usize, count: usize) -> (Vec<f64>, Vec<f64>) {
    let frequencies = frequencies(config);
    // The angle is a product of f32, as in the reference: at far positions its rounding shows.
    let angles = (first..first + count)
        .flat_map(|p| frequencies.iter().map(move |f| f64::from(p as f32 * f)));
    angles.map(|a| (a.cos(), a.sin())).unzip()
}
