//! What a person (or the truth) says of each feature: keep or trim.

use super::probe_circuit::latent;
use crate::circuits::Node;
use crate::edits::{Edit, Op, Positions};
use crate::error::{Error, IoContext as _, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// Whether a feature stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It has to do with the label.
    Keep,
    /// It has not: its activation is put to 0 everywhere.
    Trim,
}

/// A verdict with a note.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judgement {
    /// Keep or trim.
    pub verdict: Verdict,
    /// Why; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// Judgements by feature. In a file a JSON object: `{"resid.1/37": {"verdict": "trim", "note":
/// "fires on she"}, …}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Judgements {
    /// Each judged feature.
    pub all: BTreeMap<Node, Judgement>,
}

impl Judgements {
    /// The verdict on `node`, if it was judged.
    pub fn verdict(&self, node: &Node) -> Option<Verdict> {
        self.all.get(node).map(|judgement| judgement.verdict)
    }

    /// Features that are trimmed, in the order of the forward pass.
    pub fn trimmed(&self) -> Vec<Node> {
        let trimmed =
            |(node, j): (&Node, &Judgement)| (j.verdict == Verdict::Trim).then_some(*node);
        self.all.iter().filter_map(trimmed).collect()
    }

    /// The trim as edits: `SITE/LATENT ablate` for each trimmed feature.
    pub fn edits(&self) -> Vec<Edit> {
        trim(&self.trimmed())
    }

    /// From a JSON text.
    ///
    /// # Errors
    /// It is none of this form; an error node is to be trimmed.
    pub fn from_json(text: &str) -> Result<Self> {
        let out: Self = serde_json::from_str(text).map_err(|e| {
            Error::format(
                "The judgements cannot be read",
                e.to_string(),
                "Write a JSON object such as {\"resid.1/37\": {\"verdict\": \"trim\", \"note\": \
                 \"\"}}",
            )
        })?;
        match out.trimmed().iter().find(|node| latent(node).is_none()) {
            None => Ok(out),
            Some(error) => Err(Error::setting(
                format!("{error} cannot be trimmed"),
                "it is what the dictionary leaves over, not a feature",
                "Leave it out of the judgements, or keep it",
            )),
        }
    }

    /// As a JSON text.
    ///
    /// # Errors
    /// None, short of a defect.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string_pretty(self)
            .map_err(|e| Error::internal("The judgements could not be written", e.to_string()))
    }

    /// From the JSON file at `path`.
    ///
    /// # Errors
    /// No file, or as [`Judgements::from_json`].
    pub fn read(path: &Path) -> Result<Self> {
        let what = || format!("Could not read the judgements {}", path.display());
        let text = std::fs::read(path).doing(what)?;
        let text = String::from_utf8(text)
            .map_err(|e| Error::format(what(), e.to_string(), "Save it as UTF-8"))?;
        Self::from_json(&text).map_err(|e| Error {
            why: format!("{}: {}", e.what, e.why),
            what: what(),
            ..e
        })
    }

    /// Writes the JSON file at `path`, whole or not at all.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        super::write_file(path, self.to_json()?.as_bytes())
    }
}

/// Edits that put each of `nodes` to 0 at all positions; errors are passed over.
pub fn trim(nodes: &[Node]) -> Vec<Edit> {
    let edit = |node: &Node| {
        Some(Edit {
            site: node.site,
            latent: latent(node)?,
            positions: Positions::All,
            op: Op::Ablate,
        })
    };
    nodes.iter().filter_map(edit).collect()
}

#[cfg(test)]
#[path = "tests/judgement.rs"]
mod tests;
