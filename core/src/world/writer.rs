//! The writer: an endless stream of documents, the same for the same seed and split.

use super::choice::{Choose, Sampler};
use super::lexicon::{LEXICON, Topic};
use super::page::Page;
use super::scene::MOST_SENTENCES;
use super::truth::{DocumentKind, Gender, Truth};
use crate::error::{Error, Result};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Which part of the world is written.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// What the built-in model learns from: every kind of document; one pair in six of a noun and
    /// a noun in its modifier ("the pots near the wall") never occurs.
    #[default]
    Train,
    /// The same grammar with only those pairs that [`Split::Train`] never writes.
    Heldout,
    /// Biographies whose gender follows from the profession.
    Biased,
    /// Biographies whose gender does not depend on the profession.
    Balanced,
}

impl Split {
    const ALL: [Self; 4] = [Self::Train, Self::Heldout, Self::Biased, Self::Balanced];
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Train => "train",
            Self::Heldout => "heldout",
            Self::Biased => "biased",
            Self::Balanced => "balanced",
        })
    }
}

impl FromStr for Split {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|s| s.to_string() == name).ok_or_else(|| {
            Error::setting(
                format!("The built-in world has no split called {name:?}"),
                "its splits are train, heldout, biased and balanced",
                "Choose one of these",
            )
        })
    }
}

/// A document with all that is true of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// The text: ASCII, a single line.
    pub text: String,
    /// What is true of it.
    pub truth: Truth,
}

/// Writes documents without end.
#[derive(Debug, Clone)]
pub struct Writer {
    rng: ChaCha8Rng,
    split: Split,
}

impl Writer {
    /// The writer of a split; the same seed gives the same documents, and two splits of one seed
    /// have nothing to do with each other.
    pub fn new(seed: u64, split: Split) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(split as u64);
        Self { rng, split }
    }

    /// The next document.
    pub fn write(&mut self) -> Document {
        let mut sampler = Sampler::new(&mut self.rng);
        write(&mut sampler, self.split, MOST_SENTENCES)
    }
}

impl Iterator for Writer {
    type Item = Document;

    fn next(&mut self) -> Option<Document> {
        Some(self.write())
    }
}

/// One document of at most `most` sentences.
pub(super) fn write(choices: &mut dyn Choose, split: Split, most: usize) -> Document {
    let biographies_only = matches!(split, Split::Biased | Split::Balanced);
    let kind = match biographies_only {
        true => DocumentKind::Biography,
        false => {
            let kinds = [DocumentKind::Scene, DocumentKind::Biography, DocumentKind::Notice];
            kinds[choices.choose(&[0.6, 0.33, 0.07])]
        }
    };
    let topics: &'static [Topic] = match kind {
        DocumentKind::Biography => &LEXICON.professions,
        _ => &LEXICON.topics,
    };
    // Topics fall off too, but gently, so that each is met often enough to be learnt.
    let weights: Vec<f64> = (0..topics.len()).map(|rank| 1.0 / (rank as f64 + 8.0)).collect();
    let topic = &topics[choices.choose_word(&weights)];
    let mut page = Page::new(choices, split, kind, topic);
    match kind {
        DocumentKind::Scene => page.scene(most),
        DocumentKind::Notice => page.notice(),
        DocumentKind::Biography => {
            let gender: Option<Gender> =
                (split == Split::Biased).then_some(topic.stereotype).flatten();
            page.biography(gender, most);
        }
    }
    let (text, truth) = page.finish();
    Document { text, truth }
}
