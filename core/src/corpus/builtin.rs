//! The built-in world as documents.

use super::Documents;
use crate::error::Result;
use crate::world::{Split, Writer};

/// A split of the built-in world, without end.
pub(super) struct Builtin {
    split: Split,
    seed: u64,
    writer: Writer,
}

impl Builtin {
    pub fn new(split: Split, seed: u64) -> Self {
        Self { split, seed, writer: Writer::new(seed, split) }
    }
}

impl Documents for Builtin {
    fn next_document(&mut self) -> Result<Option<String>> {
        Ok(Some(self.writer.write().text))
    }

    fn rewind(&mut self) -> Result<()> {
        self.writer = Writer::new(self.seed, self.split);
        Ok(())
    }
}
