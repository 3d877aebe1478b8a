//! What was typed and set on the prompt screen.

use sparsescope_core::workspace::SaeId;
use std::collections::BTreeSet;

/// What latents are ranked by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Rank {
    /// How strongly they fire.
    #[default]
    Activation,
    /// What they do to the logit past all later blocks.
    Direct,
    /// What would go with them, to first order.
    Attribution,
}

/// The prompt screen's form.
#[derive(Debug, Default)]
pub struct PromptForm {
    /// The text.
    pub text: String,
    /// Whether a text was ever put in, so that an emptied box stays empty.
    pub begun: bool,
    /// When it was last changed, by the window's clock, if nothing was asked since.
    pub changed: Option<f64>,
    /// The token whose successor is asked about; the last if `None`.
    pub position: Option<usize>,
    /// The next token whose logit is looked at; the likeliest if `None`.
    pub target: Option<u32>,
    /// The token it is compared with.
    pub against: Option<u32>,
    /// The token whose latents the table lists; `None` for the whole prompt.
    pub token: Option<usize>,
    /// What the table is ordered by.
    pub rank: Rank,
    /// Latents that stay in sight, of which dictionary.
    pub pins: BTreeSet<(SaeId, u32)>,
    /// What the table was made from.
    pub key: Option<(u64, Option<usize>, Rank)>,
    /// The table's rows.
    pub rows: Vec<PromptRow>,
}

/// A latent in the table: on one token, or over the whole prompt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PromptRow {
    /// The latent.
    pub latent: u32,
    /// The token it is strongest on.
    pub position: usize,
    /// Its activation there.
    pub activation: f32,
    /// Its direct effect, summed.
    pub direct: f32,
    /// Its attribution, summed.
    pub attribution: f32,
}
