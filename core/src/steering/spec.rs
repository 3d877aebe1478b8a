//! What is asked for.

use super::SamplerSpec;
use crate::edits::Edit;
use crate::error::{Error, Result};
use crate::llama::{Model, Site};
use serde::{Deserialize, Serialize};

/// What a text begins with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prompt {
    /// Plain text, with BOS in front of it if the model has one.
    Text(String),
    /// A conversation, written as the model's own chat template says, up to where the assistant's
    /// answer begins. The template decides on BOS.
    Chat(Vec<Message>),
}

pub use crate::llama::{Message, Role};

/// What to write, and with which edits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SteerSpec {
    /// What comes first.
    pub prompt: Prompt,
    /// Most tokens that each stream writes.
    pub tokens: usize,
    /// How a token is chosen; the same for every stream, seed included.
    pub sampler: SamplerSpec,
    /// Edits of the steered stream. Positions count from 0 with BOS;
    /// [`crate::edits::Positions::Generated`] are those behind the prompt. Without edits there is
    /// no steered stream: it would be the unsteered one again.
    pub edits: Vec<Edit>,
    /// Sites that the spliced stream replaces by their dictionary's reconstruction x̂, at every
    /// position, the error dropped; nothing else is edited there. Without sites there is no spliced
    /// stream.
    pub splice: Vec<Site>,
}

impl Default for SteerSpec {
    /// Fifty greedy tokens after nothing.
    fn default() -> Self {
        Self {
            prompt: Prompt::Text(String::new()),
            tokens: 50,
            sampler: SamplerSpec::default(),
            edits: Vec::new(),
            splice: Vec::new(),
        }
    }
}

impl Prompt {
    /// The text that the model reads, and its tokens (BOS included).
    ///
    /// # Errors
    /// Nothing to read; no tokenizer; no chat template, or one that does not render; no room for a
    /// single token in the model's context.
    pub fn tokens(&self, model: &Model) -> Result<(String, Vec<u32>)> {
        let tokenizer = model.need_tokenizer()?;
        let (text, ids) = match self {
            Self::Text(text) if text.is_empty() => {
                return Err(Error::setting(
                    "There is no prompt",
                    "the text is empty",
                    "Write how the text begins",
                ));
            }
            Self::Text(text) => (text.clone(), tokenizer.encode(text, true)?),
            Self::Chat(messages) => {
                let text = tokenizer.chat(messages)?;
                // Special tokens stand in the text; the template has put BOS there if it wants it.
                let ids = tokenizer.encode(&text, false)?;
                (text, ids)
            }
        };
        let context = model.config().context;
        if ids.is_empty() || ids.len() >= context {
            return Err(Error::setting(
                format!("A prompt of {} tokens cannot be written on", ids.len()),
                format!("the model was made for {context} positions, prompt and answer together"),
                "Write a shorter prompt",
            ));
        }
        Ok((text, ids))
    }
}
