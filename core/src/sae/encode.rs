//! Encoding with a finished dictionary.

use super::kernels::{self, Above, Bound, Encoding, GroupMax, Packed, Select};
use super::{About, Architecture, Extra, Latents, Matrix, Sae, Wiring};
use crate::error::Result;
use std::borrow::Cow;

impl Sae {
    /// The active latents of each row of `rows` (`[n, d]`, raw activations).
    ///
    /// A row's latents do not depend on the rows around it: BatchTopK and Matryoshka go by their
    /// threshold.
    ///
    /// # Errors
    /// `rows` is not a whole number of rows, or holds a NaN or an infinity.
    pub fn encode(&self, rows: &[f32]) -> Result<Latents> {
        self.encode_by(&self.packed(), rows)
    }

    /// The encoder as [`Sae::encode_by`] wants it: worth keeping where small batches are encoded
    /// again and again. It is as large as the encoder itself.
    pub(crate) fn packed(&self) -> Packed {
        let mut packed = Packed::new();
        packed.pack(&self.encoder, &self.b_enc, None);
        packed
    }

    /// A dictionary of these latents alone, in this order, that finds of each what this one finds,
    /// bit for bit; `None` where whether a latent is active depends on the others.
    pub(crate) fn part(&self, latents: &[u32]) -> Option<Self> {
        let each = match self.architecture {
            Architecture::Standard { .. } | Architecture::PAnneal { .. } => false,
            Architecture::JumpRelu { .. } => true,
            // One threshold for all.
            Architecture::BatchTopK { .. } | Architecture::Matryoshka { .. } => false,
            _ => return None,
        };
        let rows = |matrix: &Matrix| {
            let data = latents.iter().flat_map(|l| matrix.row(*l as usize)).copied().collect();
            Matrix::new(latents.len(), matrix.cols(), data).ok()
        };
        let of = |values: &[f32]| latents.iter().map(|l| values[*l as usize]).collect();
        let threshold = if each { of(&self.extra.threshold) } else { self.extra.threshold.clone() };
        Some(Self {
            encoder: rows(&self.encoder)?,
            b_enc: of(&self.b_enc),
            decoder: rows(&self.decoder)?,
            extra: Extra { threshold, ..Extra::default() },
            architecture: self.architecture.clone(),
            b_dec: self.b_dec.clone(),
            wiring: self.wiring,
            about: About::default(),
        })
    }

    /// As [`Sae::encode`], bit for bit, with an encoder that was packed before.
    pub(crate) fn encode_by(&self, packed: &Packed, rows: &[f32]) -> Result<Latents> {
        self.check_rows(rows)?;
        let mut seen = Cow::Borrowed(rows);
        if self.wiring == Wiring::Centred {
            kernels::subtract_from_rows(seen.to_mut(), &self.b_dec);
        }
        let m = self.latents();
        let mut out = Latents::new(m);
        let threshold = &self.extra.threshold[..];
        let go_on = || Ok(());
        let select = match self.architecture {
            Architecture::TopK { k } | Architecture::MultiTopK { k } => Select::TopK(k),
            Architecture::Standard { .. } | Architecture::PAnneal { .. } | Architecture::Gated => {
                Select::Positive
            }
            Architecture::JumpRelu { .. } => {
                let make = || Above::new(Bound::Each(threshold));
                kernels::sift(&seen, packed, None, make, &mut out, &go_on)?;
                return Ok(out);
            }
            Architecture::BatchTopK { .. } | Architecture::Matryoshka { .. } => {
                let bound = threshold.first().map_or(0.0, |t| t.max(0.0));
                let make = || Above::new(Bound::All(bound));
                kernels::sift(&seen, packed, None, make, &mut out, &go_on)?;
                return Ok(out);
            }
            Architecture::GroupMax { k } => {
                let make = || GroupMax { size: (m / k).max(1), kept: Vec::new() };
                kernels::sift(&seen, packed, None, make, &mut out, &go_on)?;
                return Ok(out);
            }
        };
        let memory = &mut Encoding::default();
        kernels::encode(&seen, packed, None, select, memory, &mut out, &go_on)?;
        if self.architecture == Architecture::Gated {
            let gates = std::mem::replace(&mut out, Latents::new(m));
            kernels::magnitudes(&gates, &self.b_enc, &self.extra, &mut out);
        }
        Ok(out)
    }
}
