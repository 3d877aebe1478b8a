//! A run on disk: everything that the next step depends on, in one file that is replaced whole.
//!
//! The file holds weights, Adam's moments, counters, random numbers, the scale, the settings,
//! the place in the source and the curves so far. A run that goes on from it has the same
//! weights, bit for bit, as one that was never broken off.

use super::config::TrainConfig;
use super::trainer::{Counters, Trainer, width_of};
use crate::activations::{Position, Provenance};
use crate::error::{Error, IoContext, Result};
use crate::sae::architectures::Running;
use crate::sae::engine::{OptimizerState, Parameters};
use crate::sae::kernels::Moments;
use crate::sae::tensors::{self, Tensor};
use crate::sae::{Extra, Matrix, TrainPoint, Wiring};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

const FILE: &str = "checkpoint.safetensors";
const VERSION: u32 = 1;

/// What a checkpoint knows besides the tensors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    pub version: u32,
    pub config: TrainConfig,
    /// Numbers of a row of the source.
    pub width: usize,
    pub provenance: Provenance,
    /// Where the source stands after the last row that was trained on.
    pub position: Position,
    pub step: u64,
    pub tokens: u64,
    #[serde(default)]
    pub running: Running,
    pub rng: ChaCha8Rng,
    pub history: Vec<TrainPoint>,
}

pub(super) fn path(out: &Path) -> PathBuf {
    out.join(FILE)
}

/// Writes a checkpoint; the one before stays whole until the new one is.
pub(super) fn write(
    out: &Path,
    trainer: &Trainer,
    provenance: &Provenance,
    position: Position,
    history: &[TrainPoint],
) -> Result<()> {
    fs::create_dir_all(out).doing(|| format!("Could not make {}", out.display()))?;
    let counters = trainer.counters();
    let state = State {
        version: VERSION,
        config: trainer.config().clone(),
        width: trainer.row_width(),
        provenance: provenance.clone(),
        position,
        step: counters.step,
        tokens: counters.tokens,
        running: counters.running.clone(),
        rng: counters.rng.clone(),
        history: history.to_vec(),
    };
    let state = serde_json::to_string(&state)
        .map_err(|e| Error::internal("A checkpoint could not be described", e.to_string()))?;
    // As bits: a number that went through text may come back a hair off.
    let scale = [counters.scale.to_bits()];
    let target_scale = [counters.target_scale.to_bits()];
    let mut parts =
        vec![Tensor::u64("silent_for", &counters.silent_for), Tensor::u64("scale", &scale)];
    if transcodes(trainer.config()) {
        parts.push(Tensor::u64("target_scale", &target_scale));
    }
    let weights = trainer.parameters().parts();
    for ((name, data), moments) in weights.into_iter().zip(&trainer.optimizer().moments) {
        parts.push(Tensor::f32(name, &[data.len()], data));
        parts.push(Tensor::f32(format!("{name}.first"), &[data.len()], &moments.first));
        parts.push(Tensor::f32(format!("{name}.second"), &[data.len()], &moments.second));
    }
    if let Some(average) = trainer.average() {
        for (name, data) in average.parts() {
            parts.push(Tensor::f32(format!("{name}.average"), &[data.len()], data));
        }
    }
    let path = path(out);
    tensors::write_tensors_beside(&path, &parts, &[("state", state)])?;
    tensors::put_in_place(&path)
}

fn transcodes(config: &TrainConfig) -> bool {
    matches!(config.wiring, Wiring::Transcoder { .. })
}

/// Reads the checkpoint of a run with these settings on this source; `None` if there is none.
pub(super) fn read(
    out: &Path,
    config: &TrainConfig,
    width: usize,
    provenance: &Provenance,
) -> Result<Option<(State, Trainer)>> {
    let path = path(out);
    if !path.try_exists().doing(|| format!("Could not look for {}", path.display()))? {
        return Ok(None);
    }
    let mut file = tensors::read_tensors(&path)?;
    let bad = |why: String| tensors::damaged(&path, &why);
    let text = file.metadata.get("state").ok_or_else(|| bad("it has no state".to_owned()))?;
    let state: State = serde_json::from_str(text).map_err(|e| bad(e.to_string()))?;
    if state.version != VERSION {
        return Err(bad(format!("its version is {}, not {VERSION}", state.version)));
    }
    state.check_same(config, width, provenance)?;
    let (m, d) = (config.latents, width_of(config, width));
    let mut scale_called = |name: &str| {
        let scale = f64::from_bits(file.take_u64(name, 1)?[0]);
        if scale > 0.0 && scale.is_finite() {
            return Ok(scale);
        }
        Err(bad(format!("its {name} is {scale}")))
    };
    let scale = scale_called("scale")?;
    let target_scale = if transcodes(config) { scale_called("target_scale")? } else { scale };
    let matrix = m.checked_mul(d).ok_or_else(|| bad(format!("{m} x {d} is too large")))?;
    let mut part = |name: &str, len: usize| -> Result<(Vec<f32>, Moments)> {
        let weights = file.take_shaped(name, &[len])?;
        let first = file.take_shaped(&format!("{name}.first"), &[len])?;
        let second = file.take_shaped(&format!("{name}.second"), &[len])?;
        if let Some(at) = [&weights, &first, &second]
            .iter()
            .find_map(|part| part.iter().position(|v| !v.is_finite()))
        {
            return Err(bad(format!("{name} is not a number at place {at}")));
        }
        Ok((weights, Moments { first, second }))
    };
    let (encoder, of_encoder) = part("encoder", matrix)?;
    let (b_enc, of_b_enc) = part("b_enc", m)?;
    let (decoder, of_decoder) = part("decoder", matrix)?;
    let (b_dec, of_b_dec) = part("b_dec", d)?;
    let mut moments = vec![of_encoder, of_b_enc, of_decoder, of_b_dec];
    let shapes = Extra::shapes(&config.architecture, config.wiring, m, d);
    let extra = Extra::made_of(&shapes, |name, shape| {
        let (weights, of_part) = part(name, shape.iter().product())?;
        moments.push(of_part);
        Ok(weights)
    })?;
    let parameters = Parameters {
        extra,
        encoder: Matrix::new(m, d, encoder)?,
        b_enc,
        decoder: Matrix::new(m, d, decoder)?,
        b_dec,
    };
    let optimizer = OptimizerState { moments };
    let counters = Counters {
        step: state.step,
        tokens: state.tokens,
        silent_for: file.take_u64("silent_for", m)?,
        scale,
        target_scale,
        running: state.running.clone(),
        rng: state.rng.clone(),
    };
    // The settings as they were kept: a click may have added to them. How often to save and to
    // evaluate is as it is asked for now.
    let mut kept = config.clone();
    kept.resample_at.clone_from(&state.config.resample_at);
    let mut trainer = Trainer::with(&kept, parameters, optimizer, counters)?;
    if let Some(mut average) = trainer.average().cloned() {
        for (name, place) in average.parts_mut() {
            place.copy_from_slice(&file.take_shaped(&format!("{name}.average"), &[place.len()])?);
            if let Some(at) = place.iter().position(|v| !v.is_finite()) {
                return Err(bad(format!("{name}.average is not a number at place {at}")));
            }
        }
        trainer.set_average(Some(average));
    }
    Ok(Some((state, trainer)))
}

impl State {
    /// Whether a run with these settings on this source goes on from here.
    ///
    /// How often to save and to evaluate may change; anything that shapes the weights may not.
    fn check_same(
        &self,
        config: &TrainConfig,
        width: usize,
        provenance: &Provenance,
    ) -> Result<()> {
        let mut same = config.clone();
        same.checkpoint_every = self.config.checkpoint_every;
        same.evaluate_every = self.config.evaluate_every;
        if self.config.resample_at.starts_with(&config.resample_at) {
            same.resample_at.clone_from(&self.config.resample_at);
        }
        let pairs = [
            (serde_json::to_value(&self.config), serde_json::to_value(&same)),
            (serde_json::to_value(&self.provenance), serde_json::to_value(provenance)),
            (Ok(json!({ "width": self.width })), Ok(json!({ "width": width }))),
        ];
        for (old, new) in pairs {
            let (Ok(old), Ok(new)) = (old, new) else { continue };
            let Some(old) = old.as_object() else { continue };
            for (name, was) in old {
                let is = &new[name];
                if !alike(was, is) {
                    return Err(Error::setting(
                        "The run cannot go on with other settings",
                        format!("{name} was {was} when it was broken off and is {is} now"),
                        format!("Set {name} back to {was}, or start a new run in another folder"),
                    ));
                }
            }
        }
        Ok(())
    }
}

/// Whether `asked` is what `was` began as: the same but for resampling that was asked for by hand
/// on the way.
pub(super) fn goes_on(was: &TrainConfig, asked: &TrainConfig) -> bool {
    let mut same = asked.clone();
    if was.resample_at.starts_with(&asked.resample_at) {
        same.resample_at.clone_from(&was.resample_at);
    }
    match (serde_json::to_value(was), serde_json::to_value(&same)) {
        (Ok(was), Ok(same)) => alike(&was, &same),
        _ => false,
    }
}

/// Equal but for the last digit of a number, which may change on its way through text.
fn alike(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) if a.is_f64() && b.is_f64() => {
            let (a, b) = (a.as_f64().unwrap_or(f64::NAN), b.as_f64().unwrap_or(f64::NAN));
            (a - b).abs() <= 1e-14 * a.abs()
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(k, v)| b.get(k).is_some_and(|w| alike(v, w)))
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| alike(a, b))
        }
        _ => a == b,
    }
}
