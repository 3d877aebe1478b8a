//! The one SAE type.

use super::kernels;
use super::tensors::hex;
use super::{About, Architecture, Extra, Latents, Matrix, Wiring};
use crate::error::{Error, ErrorKind, Result};
use sha2::{Digest, Sha256};

/// A dictionary for one site: `x̂ = b_dec + Σ f_i d_i`, with few `f_i` at a time; or for two,
/// where it is a transcoder.
///
/// It takes and gives raw activations of width d; whatever scaling the training used is folded
/// into the weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Sae {
    /// How it encodes.
    pub architecture: Architecture,
    /// `[m, d]`; row i is the direction that latent i reads.
    pub encoder: Matrix,
    /// `[m]`, added to the encoder product.
    pub b_enc: Vec<f32>,
    /// `[m, d]`; row i is the direction d_i that latent i writes.
    pub decoder: Matrix,
    /// `[d]`, subtracted before the encoder (as `wiring` says) and added after the decoder.
    pub b_dec: Vec<f32>,
    /// What only some architectures have.
    pub extra: Extra,
    /// What the encoder sees, and what the decoder gives.
    pub wiring: Wiring,
    /// Where it comes from.
    pub about: About,
}

impl Sae {
    /// Width d of the activations.
    pub fn width(&self) -> usize {
        self.encoder.cols()
    }

    /// Number of latents, m.
    pub fn latents(&self) -> usize {
        self.encoder.rows()
    }

    /// The direction d_i in activation space that latent `i` writes.
    pub fn direction(&self, i: usize) -> &[f32] {
        self.decoder.row(i)
    }

    /// The reconstruction `x̂` (`[n, d]`) of each row of `latents`; of a transcoder with skip the
    /// part that comes from latents (see [`Sae::reconstruct`]).
    ///
    /// # Errors
    /// `latents` are of another dictionary.
    pub fn decode(&self, latents: &Latents) -> Result<Vec<f32>> {
        latents.validate(self.latents())?;
        let mut out = vec![0.0; latents.rows() * self.width()];
        kernels::decode(latents, &self.decoder, &self.b_dec, &mut out);
        Ok(out)
    }

    /// What the dictionary makes of each row of `rows`: an approximation of the row, or of what
    /// a transcoder stands for.
    ///
    /// # Errors
    /// As [`Sae::encode`].
    pub fn reconstruct(&self, rows: &[f32]) -> Result<Vec<f32>> {
        let mut out = self.decode(&self.encode(rows)?)?;
        kernels::add_product_of_rows(&mut out, &self.extra.skip, rows, 1.0);
        Ok(out)
    }

    /// A name made of what the dictionary computes: 64 hexadecimal digits (SHA-256 of
    /// architecture and weights). Where it comes from plays no part.
    pub fn hash(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(self.architecture.name());
        hash.update(serde_json::to_vec(&self.architecture).unwrap_or_default());
        if self.wiring != Wiring::Centred {
            hash.update(serde_json::to_vec(&self.wiring).unwrap_or_default());
        }
        for (_, part) in self.parts() {
            hash.update((part.len() as u64).to_le_bytes());
            for chunk in part.chunks(4096) {
                let bytes: Vec<u8> = chunk.iter().flat_map(|v| v.to_le_bytes()).collect();
                hash.update(bytes);
            }
        }
        hex(&hash.finalize())
    }

    /// Whether the parts fit together, are finite, and the architecture makes sense for them.
    ///
    /// # Errors
    /// Says which part does not fit.
    pub fn validate(&self) -> Result<()> {
        let (m, d) = (self.latents(), self.width());
        self.architecture.validate(m)?;
        if d == 0 {
            return Err(unfit("the activations it takes have width 0"));
        }
        let shapes = [
            ("encoder", self.encoder.rows(), m),
            ("b_enc", self.b_enc.len(), m),
            ("decoder", self.decoder.rows(), m),
            ("decoder's width", self.decoder.cols(), d),
            ("b_dec", self.b_dec.len(), d),
        ];
        for (name, is, should) in shapes {
            if is != should {
                return Err(unfit(&format!("{name} has {is} entries where {should} are due")));
            }
        }
        if !self.extra.has(&self.extra_shapes()) {
            return Err(unfit(
                "thresholds, magnitudes or skip matrix are missing or of wrong size",
            ));
        }
        for (name, values) in self.parts() {
            if !values.iter().all(|v| v.is_finite()) {
                return Err(unfit(&format!("{name} holds a NaN or an infinity")));
            }
        }
        Ok(())
    }

    /// Every part of the weights with its name.
    fn parts(&self) -> Vec<(&'static str, &[f32])> {
        let mut parts = vec![
            ("encoder", self.encoder.data()),
            ("b_enc", &self.b_enc[..]),
            ("decoder", self.decoder.data()),
            ("b_dec", &self.b_dec),
        ];
        parts.extend(self.extra.parts());
        parts
    }

    /// Names and shapes of what there must be in [`Sae::extra`].
    pub fn extra_shapes(&self) -> Vec<(&'static str, Vec<usize>)> {
        Extra::shapes_used(&self.architecture, self.wiring, self.latents(), self.width())
    }

    pub(super) fn check_rows(&self, rows: &[f32]) -> Result<()> {
        if !rows.len().is_multiple_of(self.width().max(1)) {
            return Err(Error::setting(
                "The activations do not fit the dictionary",
                format!("{} numbers are no whole rows of width {}", rows.len(), self.width()),
                "Use activations of the site that the dictionary was trained on",
            ));
        }
        if let Some(at) = rows.iter().position(|v| !v.is_finite()) {
            return Err(Error::new(
                ErrorKind::Numeric,
                "The activations cannot be encoded",
                format!("row {} holds {}", at / self.width().max(1), rows[at]),
                "Check the model's weights and the edits in force",
            ));
        }
        Ok(())
    }
}

fn unfit(why: &str) -> Error {
    Error::format(
        "The dictionary is not usable",
        why,
        "Train it again, or choose another copy of the file",
    )
}
