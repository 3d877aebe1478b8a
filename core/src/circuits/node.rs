//! Nodes of a circuit, in one text form.

use crate::error::{Error, Result};
use crate::llama::Site;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What a node is at its site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Unit {
    /// A latent of the dictionary there; a coordinate of the site where it has none.
    Latent(u32),
    /// What the dictionary leaves over, `ε = x − x̂`, as a whole.
    Error,
}

/// A node: a latent or the error at a site, at one position or at all of them.
///
/// Its text form is `SITE/LATENT`, `SITE/error`, with `@POSITION` after it where it stands at one
/// position only: `resid.2/1234@5`, `mlp.0/error`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Node {
    /// Where.
    pub site: Site,
    /// Position in the text, counted from 0 with BOS; `None` where positions are summed over.
    pub position: Option<u32>,
    /// What.
    pub unit: Unit,
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.unit {
            Unit::Latent(latent) => write!(f, "{}/{latent}", self.site)?,
            Unit::Error => write!(f, "{}/error", self.site)?,
        }
        self.position.map_or(Ok(()), |position| write!(f, "@{position}"))
    }
}

impl FromStr for Node {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let unknown = || {
            Error::setting(
                format!("{text:?} is no node"),
                "a node is SITE/LATENT or SITE/error, with @POSITION after it if it stands at one",
                "Write for example resid.2/1234@5",
            )
        };
        let (place, position) = match text.split_once('@') {
            Some((place, position)) => (place, Some(position.parse().map_err(|_| unknown())?)),
            None => (text, None),
        };
        let (site, unit) = place.split_once('/').ok_or_else(unknown)?;
        let unit = match unit {
            "error" => Unit::Error,
            latent => Unit::Latent(latent.parse().map_err(|_| unknown())?),
        };
        Ok(Self { site: site.parse()?, position, unit })
    }
}

impl TryFrom<String> for Node {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Node> for String {
    fn from(node: Node) -> Self {
        node.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_form_round_trips() {
        for text in ["resid.2/1234@5", "mlp.0/error", "embed/0", "attn.1/error@0"] {
            let node: Node = text.parse().unwrap();
            assert_eq!(node.to_string(), text);
        }
        for wrong in ["resid.2", "resid.2/", "resid.2/-1", "resid.2/1@", "resid.2/1@x", "/3"] {
            assert!(wrong.parse::<Node>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn nodes_are_ordered_as_they_are_computed() {
        let parse = |text: &str| text.parse::<Node>().unwrap();
        assert!(parse("attn.1/7@3") < parse("mlp.1/2@0"));
        assert!(parse("mlp.1/2@0") < parse("mlp.1/error@0"));
        assert!(parse("mlp.1/error@0") < parse("mlp.1/0@1"));
    }
}
