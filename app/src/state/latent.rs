//! What was found out of the chosen latent.

use crate::work::latent::{Elsewhere, OnText};
use sparsescope_core::Error;
use sparsescope_core::directions::Neuron;
use sparsescope_core::features::LogitEffects;
use sparsescope_core::workspace::SaeId;
use std::collections::BTreeMap;

/// What was found out of the chosen latent, as far as it is.
#[derive(Debug, Default)]
pub struct LatentState {
    /// Which latent of which dictionary it is about.
    pub of: Option<(SaeId, u32)>,
    /// Whether more is on its way.
    pub pending: bool,
    /// Why there is no more.
    pub failure: Option<Error>,
    /// The nearest decoder directions of the same dictionary, with their cosines.
    pub near: Vec<(u32, f32)>,
    /// Those of other dictionaries of the site.
    pub elsewhere: Vec<Elsewhere>,
    /// The nearest neurons.
    pub neurons: Vec<Neuron>,
    /// What it does to the logits.
    pub logits: Option<LogitEffects>,
    /// What it does to the next tokens of a context, by group and place in the group.
    pub next: BTreeMap<(usize, usize), Vec<f32>>,
    /// The text that was asked about last.
    pub asked: String,
    /// The latent on it.
    pub on_text: Option<OnText>,
    /// Why it could not be read.
    pub text_failure: Option<Error>,
}
