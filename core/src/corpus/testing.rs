//! What the tests of several rooms need: files, and a tokeniser that anybody can follow.

use super::{Documents, Encode};
use crate::error::Result;
use std::path::PathBuf;

/// A file `name` with this content, in a folder that goes away with the first value.
pub fn file(name: &str, content: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, content).unwrap();
    (dir, path)
}

/// Every document there is.
pub fn all_documents(documents: &mut dyn Documents) -> Vec<String> {
    let mut all = Vec::new();
    while let Some(document) = documents.next_document().unwrap() {
        all.push(document);
    }
    all
}

/// One token a byte; BOS is 256.
pub struct Bytes;

impl Encode for Bytes {
    fn encode(&self, text: &str) -> Result<Vec<u32>> {
        Ok(text.bytes().map(u32::from).collect())
    }

    fn bos(&self) -> Option<u32> {
        Some(256)
    }
}
