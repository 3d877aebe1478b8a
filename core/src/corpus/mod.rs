//! Text from files or the built-in world, and the token rows cut from it.

mod builtin;
mod jsonl;
mod lines;
mod model_text;
mod rows;
mod sentences;
mod spec;
mod text;

#[cfg(test)]
pub(crate) mod testing;

pub use model_text::encoder_of;
pub use rows::{Bos, Encode, Row, RowSpec, Rows, Split};
pub use sentences::sentences;
pub use spec::CorpusSpec;

use crate::error::Result;

/// Documents in a fixed order: reading them again from the start gives the same ones.
pub trait Documents: Send {
    /// The next document; `None` at the end.
    ///
    /// # Errors
    /// The text cannot be read.
    fn next_document(&mut self) -> Result<Option<String>>;

    /// Starts again from the first document.
    ///
    /// # Errors
    /// The text cannot be read again.
    fn rewind(&mut self) -> Result<()>;

    /// What was done to the text on the way and ought to be said: "3 documents were cut".
    fn note(&self) -> Option<String> {
        None
    }
}

/// The longest document, in bytes; a longer one is cut into several, and [`Documents::note`]
/// says so. It bounds the memory that one document can take.
pub const LONGEST_DOCUMENT: usize = 256 * 1024;
