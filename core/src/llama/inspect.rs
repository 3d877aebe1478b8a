//! What a model is, in one answer: shape, sites, memory, and what it makes of a line of text.

use super::{Config, Logits, Model, NextToken, Site, memory};
use crate::error::Result;
use candle_core::Device;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// What a model is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Inspection {
    /// Always `model`; tells it from the inspection of another file.
    pub kind: String,
    /// Its shape.
    pub config: Config,
    /// Number of parameters, tied matrices once.
    pub parameters: u64,
    /// Every site, in the order of the forward pass.
    pub sites: Vec<Site>,
    /// The tokenizer, in words; `None` without one.
    pub tokenizer: Option<String>,
    /// Number types on disk.
    pub dtype: String,
    /// Bytes on disk.
    pub disk_bytes: u64,
    /// Bytes in memory once loaded.
    pub memory_bytes: u64,
    /// Bytes for reading one site over one row of the full context, beside the weights.
    pub pass_bytes: u64,
    /// Bytes of memory free, where the system says.
    pub free_bytes: Option<u64>,
    /// Content hash that names it.
    pub hash: String,
    /// What it makes of the text, if one was given.
    pub text: Option<TextInspection>,
}

/// What a model makes of a text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TextInspection {
    /// The text.
    pub text: String,
    /// Its tokens, BOS in front.
    pub ids: Vec<u32>,
    /// Each token as it should be drawn.
    pub tokens: Vec<String>,
    /// Mean negative log-likelihood of the tokens after the first, in nats.
    pub mean_nll: Option<f64>,
    /// The ten likeliest next tokens.
    pub next: Vec<NextToken>,
}

/// Opens the model at `path` and says what it is, and what it makes of `text`.
///
/// # Errors
/// As [`Model::open`]; with a text, a model without tokenizer, a text of no tokens or too many.
pub fn inspect(path: &Path, text: Option<&str>) -> Result<Inspection> {
    Model::open(path, &Device::Cpu)?.inspect(text)
}

impl Model {
    /// What it is, and what it makes of `text`.
    ///
    /// # Errors
    /// With a text: no tokenizer, a text of no tokens or too many.
    pub fn inspect(&self, text: Option<&str>) -> Result<Inspection> {
        let config = self.config().clone();
        let sites = Site::all(config.layers);
        let read = [Site::Resid(config.layers - 1)];
        Ok(Inspection {
            kind: "model".to_owned(),
            parameters: config.parameters(),
            tokenizer: self.tokenizer().map(|t| t.kind()),
            dtype: self.stored().dtype.clone(),
            disk_bytes: self.stored().bytes,
            memory_bytes: self.bytes(),
            pass_bytes: memory::pass_bytes(&config, 1, config.context, &read, Logits::None, false),
            free_bytes: memory::available(),
            hash: self.hash().to_owned(),
            text: text.map(|text| self.inspect_text(text)).transpose()?,
            sites,
            config,
        })
    }

    /// What it makes of `text`, read with BOS in front.
    ///
    /// # Errors
    /// No tokenizer, a text of no tokens or too many.
    pub fn inspect_text(&self, text: &str) -> Result<TextInspection> {
        let tokenizer = self.need_tokenizer()?;
        let ids = tokenizer.encode(text, true)?;
        Ok(TextInspection {
            text: text.to_owned(),
            tokens: ids.iter().map(|&id| tokenizer.token_text(id).to_owned()).collect(),
            mean_nll: self.mean_nll(&ids)?,
            next: self.next_tokens(&ids, 10)?,
            ids,
        })
    }
}
