//! Text from files or the built-in world, and the token rows cut from it.

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
}
