//! The places in a Llama whose output can be read and changed.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A place whose output can be read and changed. One text form everywhere: `resid.3`.
///
/// Sites are ordered as the forward pass computes them: `embed`, then per block `attn`, `mlp`,
/// `resid`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Site {
    /// Output of the token embedding.
    Embed,
    /// Output of block L's attention (after `o_proj`), before it is added to the residual stream.
    Attn(usize),
    /// Output of block L's MLP, before it is added to the residual stream.
    Mlp(usize),
    /// The residual stream after block L.
    Resid(usize),
}

impl Site {
    /// Every site of a model of `layers` blocks, in the order of the forward pass.
    pub fn all(layers: usize) -> Vec<Self> {
        let blocks = (0..layers).flat_map(|l| [Self::Attn(l), Self::Mlp(l), Self::Resid(l)]);
        std::iter::once(Self::Embed).chain(blocks).collect()
    }

    /// The block it belongs to; `None` for the embedding.
    pub fn layer(self) -> Option<usize> {
        match self {
            Self::Embed => None,
            Self::Attn(l) | Self::Mlp(l) | Self::Resid(l) => Some(l),
        }
    }

    /// Its name in TransformerLens: `blocks.3.hook_resid_post`.
    pub fn transformer_lens(self) -> String {
        match self {
            Self::Embed => "hook_embed".to_owned(),
            Self::Attn(l) => format!("blocks.{l}.hook_attn_out"),
            Self::Mlp(l) => format!("blocks.{l}.hook_mlp_out"),
            Self::Resid(l) => format!("blocks.{l}.hook_resid_post"),
        }
    }

    /// The Hugging Face module whose output it is: `model.layers.3`.
    pub fn hugging_face(self) -> String {
        match self {
            Self::Embed => "model.embed_tokens".to_owned(),
            Self::Attn(l) => format!("model.layers.{l}.self_attn"),
            Self::Mlp(l) => format!("model.layers.{l}.mlp"),
            Self::Resid(l) => format!("model.layers.{l}"),
        }
    }

    /// Itself, if a model of `layers` blocks has it.
    ///
    /// # Errors
    /// The block does not exist.
    pub fn within(self, layers: usize) -> Result<Self> {
        match self.layer() {
            Some(l) if l >= layers => Err(Error::setting(
                format!("The model has no site {self}"),
                format!("it has {layers} blocks, 0 to {}", layers.saturating_sub(1)),
                "Choose one of its blocks",
            )),
            _ => Ok(self),
        }
    }

    fn order(self) -> (usize, u8) {
        match self {
            Self::Embed => (0, 0),
            Self::Attn(l) => (l, 1),
            Self::Mlp(l) => (l, 2),
            Self::Resid(l) => (l, 3),
        }
    }
}

impl PartialOrd for Site {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Site {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.order().cmp(&other.order())
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embed => f.pad("embed"),
            Self::Attn(l) => f.pad(&format!("attn.{l}")),
            Self::Mlp(l) => f.pad(&format!("mlp.{l}")),
            Self::Resid(l) => f.pad(&format!("resid.{l}")),
        }
    }
}

impl FromStr for Site {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let unknown = || {
            Error::setting(
                format!("{text:?} is no site"),
                "sites are embed, attn.L, mlp.L and resid.L, with L the number of a block from 0",
                "Write for example resid.2",
            )
        };
        if text == "embed" {
            return Ok(Self::Embed);
        }
        let (kind, layer) = text.split_once('.').ok_or_else(unknown)?;
        // `+3` and `03` parse as numbers but are not the one text form.
        let layer: usize = layer.parse().map_err(|_| unknown())?;
        let site = match kind {
            "attn" => Self::Attn(layer),
            "mlp" => Self::Mlp(layer),
            "resid" => Self::Resid(layer),
            _ => return Err(unknown()),
        };
        if site.to_string() == text { Ok(site) } else { Err(unknown()) }
    }
}

impl TryFrom<String> for Site {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Site> for String {
    fn from(site: Site) -> Self {
        site.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_is_one_and_round_trips() {
        for site in Site::all(12) {
            assert_eq!(site.to_string().parse::<Site>().unwrap(), site);
        }
        for wrong in ["resid", "resid.", "resid.+3", "resid.03", "Resid.3", "head.2", "", "mlp.-1"]
        {
            assert!(wrong.parse::<Site>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn order_is_that_of_the_forward_pass() {
        let all = Site::all(3);
        assert!(all.is_sorted());
        assert_eq!(all.len(), 10);
        assert!(Site::Embed < Site::Attn(0));
    }

    #[test]
    fn a_block_that_is_not_there_is_named() {
        let error = Site::Resid(4).within(4).unwrap_err();
        assert!(error.to_string().contains("resid.4") && error.to_string().contains("0 to 3"));
    }
}
