//! How far an activation may be moved.

use super::{Dictionaries, Edit, Op};
use crate::error::{Error, ErrorKind, Result};

/// Greatest activation: the square of anything much larger is no number any more, and the norm
/// after it would make a silent zero of it.
const LARGEST: f32 = 1e17;
/// Furthest that one edit by itself moves a number of a site: several of them stay under
/// [`LARGEST`].
const FURTHEST: f32 = 1e16;

/// Refuses activations that were moved too far.
pub(super) fn within_bounds(values: &[f32]) -> Result<()> {
    match values.iter().find(|v| v.is_nan() || v.abs() > LARGEST) {
        None => Ok(()),
        Some(v) => Err(Error::new(
            ErrorKind::Numeric,
            "The latents of a site cannot be changed so much",
            format!("an activation becomes {v:e}"),
            "Set, or scale to, smaller values",
        )),
    }
}

impl Edit {
    /// The same edit, its strength bounded to what the arithmetic of the model can bear: a value
    /// that is set or added moves no number of the site by more than 10¹⁶. The factor of a scaling
    /// stays, as what it moves is not known before; a pass that it takes too far is refused there.
    #[must_use]
    pub fn bounded(&self, dictionaries: &Dictionaries) -> Self {
        let Some(sae) = dictionaries.get(&self.site) else { return self.clone() };
        if self.latent as usize >= sae.latents() {
            return self.clone();
        }
        let direction = sae.direction(self.latent as usize);
        let widest = direction.iter().fold(0f32, |widest, d| widest.max(d.abs()));
        let most = (FURTHEST / widest).min(f32::MAX);
        let op = match self.op {
            Op::Set(v) => Op::Set(v.clamp(-most, most)),
            Op::Add(v) => Op::Add(v.clamp(-most, most)),
            other => other,
        };
        Self { op, ..self.clone() }
    }
}
