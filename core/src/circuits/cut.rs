//! Cuts: what a person does to nodes of a circuit to see what the model does without them.

use super::Node;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What happens to a cut node's activation f, live, on the clean prompts. Of an error the whole
/// vector takes the place of f.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CutOp {
    /// f' = 0.
    #[default]
    Zero,
    /// f' = its mean over the prompts that ablation values come from, at that position.
    Mean,
    /// f' = its value on another of these prompts, drawn by the seed.
    Resample,
    /// f' = s f.
    Scale(f32),
    /// f' = v; of an error not defined.
    Set(f32),
    /// f' = f + v; of an error not defined.
    Add(f32),
}

/// The same done to one node or to a group of them.
///
/// Its text form is `NODE OP` or `NODE,NODE,… OP`: `resid.2/41 zero`, `mlp.0/7,mlp.0/error mean`,
/// `resid.1/3@5 scale 2`, `attn.1/9 set 0.5`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cut {
    /// Which nodes.
    pub nodes: Vec<Node>,
    /// What happens to them.
    pub op: CutOp,
}

impl fmt::Display for CutOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zero => f.write_str("zero"),
            Self::Mean => f.write_str("mean"),
            Self::Resample => f.write_str("resample"),
            Self::Scale(s) => write!(f, "scale {s}"),
            Self::Set(v) => write!(f, "set {v}"),
            Self::Add(v) => write!(f, "add {v}"),
        }
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, node) in self.nodes.iter().enumerate() {
            let comma = if i > 0 { "," } else { "" };
            write!(f, "{comma}{node}")?;
        }
        write!(f, " {}", self.op)
    }
}

impl FromStr for CutOp {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let number = |word: &str| match word.parse::<f32>() {
            Ok(v) if v.is_finite() => Ok(v),
            _ => Err(unreadable(text)),
        };
        match words.as_slice() {
            ["zero"] => Ok(Self::Zero),
            ["mean"] => Ok(Self::Mean),
            ["resample"] => Ok(Self::Resample),
            ["scale", s] => Ok(Self::Scale(number(s)?)),
            ["set", v] => Ok(Self::Set(number(v)?)),
            ["add", v] => Ok(Self::Add(number(v)?)),
            _ => Err(unreadable(text)),
        }
    }
}

impl FromStr for Cut {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (nodes, op) = text.trim().split_once(' ').ok_or_else(|| unreadable(text))?;
        let nodes = nodes.split(',').map(str::parse).collect::<Result<Vec<Node>>>()?;
        Ok(Self { nodes, op: op.parse().map_err(|_| unreadable(text))? })
    }
}

impl TryFrom<String> for Cut {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Cut> for String {
    fn from(cut: Cut) -> Self {
        cut.to_string()
    }
}

fn unreadable(text: &str) -> Error {
    Error::setting(
        format!("{text:?} is no cut"),
        "a cut is one node or several with commas between them, and one of: zero, mean, resample, \
         scale S, set V, add V",
        "Write for example resid.2/41 zero",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_form_round_trips() {
        for text in [
            "resid.2/41 zero",
            "mlp.0/7,mlp.0/error mean",
            "resid.1/3@5 scale 2",
            "attn.1/9 set -0.5",
            "attn.1/9 add 2",
            "embed/0@1,embed/0@2 resample",
        ] {
            let cut: Cut = text.parse().unwrap();
            assert_eq!(cut.to_string(), text);
            let json = serde_json::to_string(&cut).unwrap();
            assert_eq!(serde_json::from_str::<Cut>(&json).unwrap(), cut);
        }
        for wrong in ["", "resid.2/41", "zero", "resid.2/41 set", "resid.2/41 set inf", ", zero"] {
            assert!(wrong.parse::<Cut>().is_err(), "{wrong:?}");
        }
    }
}
