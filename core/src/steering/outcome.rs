//! What is told while the streams are written, and what stands at the end.

use crate::edits::Edit;
use serde::{Deserialize, Serialize};
use std::fmt;

/// One of the texts that are written side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// By the model as it is.
    Unsteered,
    /// With the edits in force.
    Steered,
    /// With sites replaced by their reconstructions.
    Spliced,
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unsteered => "unsteered",
            Self::Steered => "steered",
            Self::Spliced => "spliced",
        })
    }
}

/// One token that a stream has written.
///
/// Probabilities are softmax of a model's plain logits, given the stream's own text up to there:
/// temperature, penalties and the like have no part in them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Written {
    /// By which stream.
    pub stream: Stream,
    /// Its position in the text, counted from 0 with BOS; the prompt comes before.
    pub position: usize,
    /// The token.
    pub id: u32,
    /// As it should be drawn; see [`crate::llama::TokenizerHandle::token_text`].
    pub text: String,
    /// Its probability under the stream's own model.
    pub own: f64,
    /// Its probability, at the same place of the same text, under the model as it is.
    pub unsteered: f64,
    /// Its probability, at the same place of the same text, under the steered model; `None` if
    /// there is no steered stream (or its model failed), and of the spliced stream's tokens.
    pub steered: Option<f64>,
}

impl Written {
    /// How much likelier (or less likely) the edits make this token here: its probability under
    /// the steered model less that under the unsteered one; for the spliced stream, that under its
    /// own model less that under the unsteered one.
    pub fn change(&self) -> Option<f64> {
        match self.stream {
            Stream::Spliced => Some(self.own - self.unsteered),
            _ => self.steered.map(|steered| steered - self.unsteered),
        }
    }
}

/// Why a stream ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// It has as many tokens as were asked for.
    Length,
    /// The model chose a token that ends the text.
    EndOfText,
    /// The model's context is full.
    Context,
    /// The job was stopped, for this reason.
    Stopped(String),
    /// A number of its model became infinite or no number; says which.
    Overflow(String),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length => f.write_str("it has as many tokens as were asked for"),
            Self::EndOfText => f.write_str("the model ended the text"),
            Self::Context => f.write_str("the model's context is full"),
            Self::Stopped(why) => write!(f, "stopped: {why}"),
            Self::Overflow(why) => f.write_str(why),
        }
    }
}

/// A prompt as the model read it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromptRead {
    /// The text; of a conversation, as the chat template wrote it.
    pub text: String,
    /// Its tokens, BOS included, each as it should be drawn.
    pub tokens: Vec<(u32, String)>,
}

/// What is told while streams are written.
#[derive(Debug, Clone, PartialEq)]
pub enum SteerEvent {
    /// The prompt's tokens, before anything is written.
    Prompt(PromptRead),
    /// Tokens written since the last such event (at most some twenty times a second), in the order
    /// of writing: the streams take turns.
    Written(Vec<Written>),
    /// A stream ended.
    Ended {
        /// Which.
        stream: Stream,
        /// Why.
        why: End,
    },
}

/// A strength so great that it was bounded before the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bounded {
    /// The edit that was asked for.
    pub asked: Edit,
    /// The edit that was made.
    pub made: Edit,
}

/// What a stream has written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StreamOutcome {
    /// Which stream.
    pub stream: Stream,
    /// What it wrote, without the prompt, special tokens left out.
    pub text: String,
    /// Its tokens, without one that ends the text.
    pub written: Vec<Written>,
    /// exp of the mean −ln p(token | text before) over its tokens, p under the model as it is:
    /// what the edits cost. `None` if it wrote nothing.
    pub perplexity: Option<f64>,
    /// The same under the stream's own model.
    pub own_perplexity: Option<f64>,
    /// Which of its tokens (counted from its first, 0) is the first that differs from the
    /// unsteered stream's; a stream that ends while the other goes on differs there. `None` while
    /// they are the same.
    pub parts_at: Option<usize>,
    /// Why it ended.
    pub end: End,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SteerOutcome {
    /// The prompt as it was read.
    pub prompt: PromptRead,
    /// The streams: unsteered first, then steered and spliced if there are.
    pub streams: Vec<StreamOutcome>,
    /// Strengths that were bounded.
    pub bounded: Vec<Bounded>,
    /// Seconds from the first token on, the prompt not counted.
    pub seconds: f64,
    /// Tokens that all streams together wrote in a second of these; each was also read by the
    /// other streams' models.
    pub tokens_per_second: f64,
}

impl SteerOutcome {
    /// The stream, if there is one.
    pub fn stream(&self, stream: Stream) -> Option<&StreamOutcome> {
        self.streams.iter().find(|s| s.stream == stream)
    }
}
