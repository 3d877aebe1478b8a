//! Token rows: what one forward pass sees of the text.

use super::{Documents, sentences};
use crate::error::{Error, Result};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// How text becomes rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// One sentence a row; a sentence longer than the row is cut into several. No text from
    /// elsewhere is in view, as in one sentence read alone.
    #[default]
    Sentences,
    /// Documents joined end to end and cut into rows of full length (the last of a pass may be
    /// shorter). A row may hold the end of one document and the beginning of the next, and the
    /// model sees across.
    Packed,
}

/// What happens with the token that marks the beginning of a sequence.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bos {
    /// Put in front, and its activation is used as any other.
    Keep,
    /// Put in front, as the model knows it from its training; its activation, of quite another
    /// size in most models, is not used.
    #[default]
    Drop,
    /// Not put in front.
    None,
}

/// How rows are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowSpec {
    /// One sentence a row, or documents packed.
    pub split: Split,
    /// What happens with the BOS token.
    pub bos: Bos,
    /// The longest row, in tokens, BOS included.
    pub length: usize,
}

impl Default for RowSpec {
    fn default() -> Self {
        Self { split: Split::default(), bos: Bos::default(), length: 128 }
    }
}

impl RowSpec {
    /// Itself, if rows can be cut so for a model that sees `context` tokens.
    ///
    /// # Errors
    /// Rows with no room for a token, or longer than the model's context.
    pub fn within(self, context: usize) -> Result<Self> {
        let least = if self.bos == Bos::None { 1 } else { 2 };
        if self.length < least || self.length > context {
            return Err(Error::setting(
                format!("Rows of {} tokens cannot be used", self.length),
                format!("the least is {least}, and the model sees {context} tokens at once"),
                format!("Choose a length from {least} to {context}"),
            ));
        }
        Ok(self)
    }
}

impl fmt::Display for RowSpec {
    /// In words: `sentences of at most 128 tokens, BOS dropped`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bos = match self.bos {
            Bos::Keep => "BOS kept",
            Bos::Drop => "BOS dropped",
            Bos::None => "no BOS",
        };
        match self.split {
            Split::Sentences => write!(f, "sentences of at most {} tokens, {bos}", self.length),
            Split::Packed => write!(f, "packed rows of {} tokens, {bos}", self.length),
        }
    }
}

impl FromStr for Split {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "sentences" => Ok(Self::Sentences),
            "packed" => Ok(Self::Packed),
            _ => Err(Error::setting(
                format!("{text:?} is no way to split text"),
                "the ways are sentences and packed",
                "Choose one of these",
            )),
        }
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Sentences => "sentences",
            Self::Packed => "packed",
        })
    }
}

impl FromStr for Bos {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "keep" => Ok(Self::Keep),
            "drop" => Ok(Self::Drop),
            "none" => Ok(Self::None),
            _ => Err(Error::setting(
                format!("{text:?} is no way to treat the BOS token"),
                "the ways are keep, drop and none",
                "Choose one of these",
            )),
        }
    }
}

impl fmt::Display for Bos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Keep => "keep",
            Self::Drop => "drop",
            Self::None => "none",
        })
    }
}

/// A row of tokens, with where each is from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Row {
    /// Token ids.
    pub tokens: Vec<u32>,
    /// Number of each token's document in its pass over the corpus, from 0.
    pub document: Vec<u64>,
    /// Each token's place in its document, from 0; a BOS put in has that of the token after it.
    pub position: Vec<u32>,
    /// Which tokens are a BOS that was put in, and no text.
    pub is_bos: Vec<bool>,
    /// Which tokens' activations are used: all, but for a BOS that is to be dropped.
    pub used: Vec<bool>,
}

impl Row {
    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether it has no tokens.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// How many of its tokens' activations are used.
    pub fn used_tokens(&self) -> usize {
        self.used.iter().filter(|u| **u).count()
    }

    /// Whether the token at `i + 1` is text that goes on from `i` in the same document: whether
    /// the model's prediction at `i` can be held against it.
    pub fn predicts(&self, i: usize) -> bool {
        i + 1 < self.len() && !self.is_bos[i + 1] && self.document[i] == self.document[i + 1]
    }

    fn push(&mut self, token: u32, document: u64, position: u32) {
        self.tokens.push(token);
        self.document.push(document);
        self.position.push(position);
        self.is_bos.push(false);
        self.used.push(true);
    }

    fn push_bos(&mut self, bos: u32, document: u64, position: u32, used: bool) {
        self.push(bos, document, position);
        let last = self.len() - 1;
        self.is_bos[last] = true;
        self.used[last] = used;
    }
}

/// What turns text into token ids.
pub trait Encode: Send + Sync {
    /// The ids of `text`, without BOS.
    ///
    /// # Errors
    /// The tokenizer cannot read the text.
    fn encode(&self, text: &str) -> Result<Vec<u32>>;

    /// The id of the BOS token, if there is one.
    fn bos(&self) -> Option<u32>;
}

/// Rows in the order of the text.
pub struct Rows {
    documents: Box<dyn Documents>,
    encoder: Arc<dyn Encode>,
    spec: RowSpec,
    /// The BOS to put in front of rows.
    bos: Option<u32>,
    queue: VecDeque<Row>,
    /// The packed row that is not full yet.
    open: Row,
    next_document: u64,
    ended: bool,
}

/// Text that is tokenised at a time, in bytes.
const TOKENISED_AT_ONCE: usize = 1 << 18;

impl Rows {
    /// Rows of `documents`, read from where they stand.
    ///
    /// # Errors
    /// A BOS is asked for and the tokenizer has none; rows with no room for a token.
    pub fn new(
        documents: Box<dyn Documents>,
        encoder: Arc<dyn Encode>,
        spec: RowSpec,
    ) -> Result<Self> {
        spec.within(usize::MAX)?;
        let bos = if spec.bos == Bos::None { None } else { Some(bos_of(encoder.as_ref())?) };
        Ok(Self {
            documents,
            encoder,
            spec,
            bos,
            queue: VecDeque::new(),
            open: Row::default(),
            next_document: 0,
            ended: false,
        })
    }

    /// The next row; `None` at the end of the text.
    ///
    /// # Errors
    /// The text cannot be read or tokenised.
    pub fn next_row(&mut self) -> Result<Option<Row>> {
        loop {
            if let Some(row) = self.queue.pop_front() {
                return Ok(Some(row));
            }
            if self.ended {
                return Ok(None);
            }
            self.fill()?;
        }
    }

    /// Starts again from the first document.
    ///
    /// # Errors
    /// The text cannot be read again.
    pub fn rewind(&mut self) -> Result<()> {
        self.queue.clear();
        self.open = Row::default();
        self.next_document = 0;
        self.ended = false;
        self.documents.rewind()
    }

    /// What was done to the text on the way and ought to be said.
    pub fn note(&self) -> Option<String> {
        self.documents.note()
    }

    /// Reads and tokenises some documents.
    fn fill(&mut self) -> Result<()> {
        let mut texts = Vec::new();
        let mut bytes = 0;
        while bytes < TOKENISED_AT_ONCE {
            let Some(text) = self.documents.next_document()? else {
                self.ended = true;
                break;
            };
            bytes += text.len();
            texts.push(text);
        }
        let encoder = self.encoder.as_ref();
        let split = self.spec.split;
        // Each document's parts, each part's tokens.
        let tokenised: Vec<Vec<Vec<u32>>> = texts
            .par_iter()
            .map(|text| match split {
                Split::Sentences => {
                    sentences(text).into_iter().map(|s| encoder.encode(s)).collect()
                }
                Split::Packed => encoder.encode(text).map(|tokens| vec![tokens]),
            })
            .collect::<Result<_>>()?;
        for parts in &tokenised {
            let document = self.next_document;
            self.next_document += 1;
            let mut position = 0;
            for tokens in parts {
                match split {
                    Split::Sentences => self.add_sentence(tokens, document, position),
                    Split::Packed => self.add_packed(tokens, document),
                }
                position += tokens.len() as u32;
            }
        }
        if self.ended && !self.open.is_empty() {
            self.queue.push_back(std::mem::take(&mut self.open));
        }
        Ok(())
    }

    fn add_sentence(&mut self, tokens: &[u32], document: u64, first: u32) {
        let room = self.spec.length - usize::from(self.bos.is_some());
        let mut position = first;
        for part in tokens.chunks(room) {
            let mut row = Row::default();
            if let Some(bos) = self.bos {
                row.push_bos(bos, document, position, self.spec.bos == Bos::Keep);
            }
            for token in part {
                row.push(*token, document, position);
                position += 1;
            }
            self.queue.push_back(row);
        }
    }

    fn add_packed(&mut self, tokens: &[u32], document: u64) {
        for (position, token) in tokens.iter().enumerate() {
            let position = position as u32;
            // In front of every row and every document; with no room left for a token after it,
            // the row ends and the next one begins with it anyway.
            if let Some(bos) = self.bos
                && (self.open.is_empty() || position == 0)
            {
                if self.open.len() + 1 >= self.spec.length {
                    self.close();
                }
                self.open.push_bos(bos, document, position, self.spec.bos == Bos::Keep);
            }
            self.open.push(*token, document, position);
            if self.open.len() >= self.spec.length {
                self.close();
            }
        }
    }

    fn close(&mut self) {
        if !self.open.is_empty() {
            self.queue.push_back(std::mem::take(&mut self.open));
        }
    }
}

fn bos_of(encoder: &dyn Encode) -> Result<u32> {
    encoder.bos().ok_or_else(|| {
        Error::setting(
            "Rows cannot begin with BOS",
            "the model's tokenizer has no BOS token",
            "Choose no BOS (--bos none)",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::CorpusSpec;
    use crate::corpus::testing::{Bytes, file};

    fn rows(text: &str, split: Split, bos: Bos, length: usize) -> Vec<Row> {
        let (_dir, path) = file("a.txt", text.as_bytes());
        let documents = CorpusSpec::File(path).open(0).unwrap();
        let mut rows =
            Rows::new(documents, Arc::new(Bytes), RowSpec { split, bos, length }).unwrap();
        let read = |rows: &mut Rows| {
            let mut all = Vec::new();
            while let Some(row) = rows.next_row().unwrap() {
                all.push(row);
            }
            all
        };
        let all = read(&mut rows);
        rows.rewind().unwrap();
        assert_eq!(all, read(&mut rows), "reading again");
        all
    }

    fn text_of(row: &Row) -> String {
        row.tokens.iter().map(|t| if *t == 256 { '^' } else { *t as u8 as char }).collect()
    }

    #[test]
    fn sentences_stand_alone() {
        let all = rows("Hi. Go!\n\nLonger.", Split::Sentences, Bos::Drop, 6);
        let texts: Vec<_> = all.iter().map(text_of).collect();
        assert_eq!(texts, ["^Hi.", "^Go!", "^Longe", "^r."]);
        assert_eq!(all[1].document, [0; 4]);
        assert_eq!(all[1].position, [3, 3, 4, 5]);
        assert_eq!(all[3].document, [1; 3]);
        assert_eq!(all[3].position, [5, 5, 6]);
        assert_eq!(all[3].used, [false, true, true]);
        assert_eq!(all[3].used_tokens(), 2);
    }

    #[test]
    fn packed_rows_are_full_and_know_their_documents() {
        let all = rows("abcde\n\nfg\n\nhi", Split::Packed, Bos::None, 4);
        let texts: Vec<_> = all.iter().map(text_of).collect();
        assert_eq!(texts, ["abcd", "efgh", "i"]);
        assert_eq!(all[1].document, [0, 1, 1, 2]);
        assert_eq!(all[1].position, [4, 0, 1, 0]);
        let predicts: Vec<_> = (0..4).map(|i| all[1].predicts(i)).collect();
        assert_eq!(predicts, [false, true, false, false]);
    }

    #[test]
    fn packed_bos_stands_before_rows_and_documents() {
        let all = rows("abcde\n\nfg\n\nhi", Split::Packed, Bos::Keep, 5);
        let texts: Vec<_> = all.iter().map(text_of).collect();
        // The third document would begin at the very end of the second row.
        assert_eq!(texts, ["^abcd", "^e^fg", "^hi"]);
        assert!(all.iter().all(|r| r.used.iter().all(|u| *u)));
        let predicts: Vec<_> = (0..5).map(|i| all[1].predicts(i)).collect();
        assert_eq!(predicts, [true, false, true, true, false]);
        let texts: Vec<_> =
            rows("abc\n\nd", Split::Packed, Bos::Drop, 5).iter().map(text_of).collect();
        assert_eq!(texts, ["^abc", "^d"]);
    }

    #[test]
    fn settings_that_make_no_sense_are_named() {
        let spec = RowSpec { length: 129, ..RowSpec::default() };
        assert!(spec.within(128).unwrap_err().to_string().contains("128"));
        let spec = RowSpec { length: 1, bos: Bos::Keep, ..RowSpec::default() };
        assert!(spec.within(128).is_err());
        for split in [Split::Sentences, Split::Packed] {
            assert_eq!(split.to_string().parse::<Split>().unwrap(), split);
        }
        for bos in [Bos::Keep, Bos::Drop, Bos::None] {
            assert_eq!(bos.to_string().parse::<Bos>().unwrap(), bos);
        }
    }
}
