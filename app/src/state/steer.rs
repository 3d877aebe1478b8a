//! What the steering screen shows.

use sparsescope_core::Error;
use sparsescope_core::llama::Site;
use sparsescope_core::steering::{End, PromptRead, SteerOutcome, SteerSpec, Stream, Written};
use sparsescope_core::workspace::{EditSetRecord, SaeId};
use std::collections::BTreeMap;

/// The steering screen.
#[derive(Debug, Default)]
pub struct SteerState {
    /// Why the last thing asked for could not be done.
    pub failure: Option<Error>,
    /// What is known of features that are changed.
    pub known: BTreeMap<(SaeId, u32), KnownFeature>,
    /// Features that fit the words that were looked for.
    pub suggestions: Option<Suggestions>,
    /// What is being written, or was last.
    pub run: Option<SteerRun>,
    /// Counts what was asked to be written, so that news of an older one is told apart.
    pub asked: u64,
    /// Sets of edits in the workspace, the latest first.
    pub sets: Vec<EditSetRecord>,
    /// Whether they were read.
    pub listed: bool,
    /// What sets two prompts apart.
    pub contrast: Option<Contrasted>,
    /// Whether the model's tokenizer has a chat template, of which model.
    pub chat: Option<(String, bool)>,
}

/// What is known of a feature.
#[derive(Debug, Clone, PartialEq)]
pub struct KnownFeature {
    /// What it is called, if it has a label.
    pub label: Option<String>,
    /// Its greatest activation; 0 if it never fired.
    pub max: f32,
    /// How that was found out.
    pub definition: String,
}

/// Features to choose from.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Suggestions {
    /// What was looked for.
    pub text: String,
    /// Features, the best first.
    pub found: Vec<Suggestion>,
}

/// A feature to choose.
#[derive(Debug, Clone, PartialEq)]
pub struct Suggestion {
    /// Where.
    pub site: Site,
    /// Of which dictionary.
    pub sae: SaeId,
    /// Which latent.
    pub latent: u32,
    /// What it is called, if it has a label.
    pub label: Option<String>,
}

/// Something that is written, side by side.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SteerRun {
    /// What was asked for.
    pub spec: SteerSpec,
    /// The prompt as the model read it.
    pub prompt: PromptRead,
    /// The streams so far.
    pub streams: Vec<StreamView>,
    /// Whether it goes on.
    pub running: bool,
    /// What came of it, once it ended.
    pub outcome: Option<SteerOutcome>,
}

/// A stream so far.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamView {
    /// Which.
    pub stream: Stream,
    /// Its tokens.
    pub written: Vec<Written>,
    /// Why it ended, once it has.
    pub end: Option<End>,
}

impl SteerRun {
    /// The streams that such a request has, with nothing in them yet.
    pub fn new(spec: SteerSpec) -> Self {
        let mut streams = vec![Stream::Unsteered];
        if !spec.edits.is_empty() {
            streams.push(Stream::Steered);
        }
        if !spec.splice.is_empty() {
            streams.push(Stream::Spliced);
        }
        let empty = |stream| StreamView { stream, written: Vec::new(), end: None };
        let streams = streams.into_iter().map(empty).collect();
        Self { spec, streams, running: true, ..Self::default() }
    }

    /// A stream, if there is one.
    pub fn stream(&self, stream: Stream) -> Option<&StreamView> {
        self.streams.iter().find(|s| s.stream == stream)
    }

    /// Perplexity of a stream's text under the unsteered model, so far or in the end: exp of the
    /// mean −ln p over its tokens.
    pub fn perplexity(&self, stream: Stream) -> Option<f64> {
        // A probability may be too small for a number, which the outcome has as a logarithm.
        let ended = self.outcome.as_ref().and_then(|o| o.stream(stream)?.perplexity);
        ended.or_else(|| self.stream(stream)?.perplexity().map(|(unsteered, _)| unsteered))
    }

    /// The place of the first token at which a stream differs from the unsteered one.
    pub fn parts_at(&self, stream: Stream) -> Option<usize> {
        let (one, other) = (self.stream(Stream::Unsteered)?, self.stream(stream)?);
        let both = one.written.iter().zip(&other.written);
        let differs = both.clone().position(|(a, b)| a.id != b.id);
        let ended = one.end.is_some() && other.end.is_some();
        let lengths = (one.written.len(), other.written.len());
        differs.or_else(|| (ended && lengths.0 != lengths.1).then(|| lengths.0.min(lengths.1)))
    }
}

impl StreamView {
    /// exp of the mean −ln p over its tokens so far, p under the unsteered model, and the same
    /// under its own.
    pub fn perplexity(&self) -> Option<(f64, f64)> {
        if self.written.is_empty() {
            return None;
        }
        let mean = |p: &dyn Fn(&Written) -> f64| {
            let sum: f64 = self.written.iter().map(|w| -p(w).ln()).sum();
            (sum / self.written.len() as f64).exp()
        };
        Some((mean(&|w| w.unsteered), mean(&|w| w.own)))
    }
}

/// What sets two prompts apart.
#[derive(Debug, Clone, PartialEq)]
pub struct Contrasted {
    /// Where they were read.
    pub site: Site,
    /// With which dictionary.
    pub sae: SaeId,
    /// Length of the direction.
    pub norm: f64,
    /// Its features, those that explain most of it first.
    pub found: Vec<ContrastedFeature>,
    /// How it was computed.
    pub definition: String,
}

/// A feature that two prompts differ in.
#[derive(Debug, Clone, PartialEq)]
pub struct ContrastedFeature {
    /// Which latent.
    pub latent: u32,
    /// What it is called, if it has a label.
    pub label: Option<String>,
    /// Cosine of the direction and the latent's decoder direction.
    pub cosine: f32,
    /// Its mean activation on the first texts less that on the others.
    pub difference: f32,
}
