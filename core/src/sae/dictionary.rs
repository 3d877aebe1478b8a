//! The one SAE type.

use super::architectures;
use super::kernels::{self, Encoding, Packed};
use super::tensors::hex;
use super::{About, Architecture, Latents, Matrix};
use crate::error::{Error, ErrorKind, Result};
use sha2::{Digest, Sha256};

/// A dictionary for one site: `x̂ = b_dec + Σ f_i d_i`, with few `f_i` at a time.
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
    /// `[d]`, subtracted before the encoder and added after the decoder.
    pub b_dec: Vec<f32>,
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

    /// The active latents of each row of `rows` (`[n, d]`, raw activations).
    ///
    /// A row's latents do not depend on the rows around it.
    ///
    /// # Errors
    /// `rows` is not a whole number of rows, or holds a NaN or an infinity.
    pub fn encode(&self, rows: &[f32]) -> Result<Latents> {
        self.check_rows(rows)?;
        let mut centred = rows.to_vec();
        kernels::subtract_from_rows(&mut centred, &self.b_dec);
        let mut latents = Latents::new(self.latents());
        let mut packed = Packed::new();
        packed.pack(&self.encoder, &self.b_enc, None);
        let select = architectures::rule(&self.architecture).select();
        let memory = &mut Encoding::default();
        kernels::encode(&centred, &packed, None, select, memory, &mut latents, &|| Ok(()))?;
        Ok(latents)
    }

    /// The reconstruction `x̂` (`[n, d]`) of each row of `latents`.
    ///
    /// # Errors
    /// `latents` are of another dictionary.
    pub fn decode(&self, latents: &Latents) -> Result<Vec<f32>> {
        latents.validate(self.latents())?;
        let mut out = vec![0.0; latents.rows() * self.width()];
        kernels::decode(latents, &self.decoder, &self.b_dec, &mut out);
        Ok(out)
    }

    /// A name made of what the dictionary computes: 64 hexadecimal digits (SHA-256 of
    /// architecture and weights). Where it comes from plays no part.
    pub fn hash(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(self.architecture.name());
        hash.update(serde_json::to_vec(&self.architecture).unwrap_or_default());
        for part in [self.encoder.data(), &self.b_enc, self.decoder.data(), &self.b_dec] {
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
        let parts = [
            ("encoder", self.encoder.data()),
            ("b_enc", &self.b_enc),
            ("decoder", self.decoder.data()),
            ("b_dec", &self.b_dec),
        ];
        for (name, values) in parts {
            if !values.iter().all(|v| v.is_finite()) {
                return Err(unfit(&format!("{name} holds a NaN or an infinity")));
            }
        }
        Ok(())
    }

    fn check_rows(&self, rows: &[f32]) -> Result<()> {
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
