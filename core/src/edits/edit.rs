//! One edit, in one text form.

use crate::error::{Error, Result};
use crate::llama::Site;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// What to do to one latent: at this site, at these positions, this.
///
/// Its meaning is `x' = x + Σ (f' − f) · d`, with f from encoding the site's live output x and d
/// the latent's decoder direction: whatever the dictionary fails to reconstruct stays as it is.
///
/// Its text form is `SITE/LATENT OP [@ POSITIONS]`: `resid.2/1234 set 0.5 @ 3..7`,
/// `mlp.0/7 ablate`, `attn.1/3 scale 2 @ 5..`, `resid.2/9 add -1 @ 0,4,6`,
/// `resid.2/9 add 3 @ generated`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Edit {
    /// Where.
    pub site: Site,
    /// Which latent of the dictionary at that site.
    pub latent: u32,
    /// At which positions of the text.
    pub positions: Positions,
    /// What happens to its activation.
    pub op: Op,
}

impl Edit {
    /// The same edit for a text whose first `prompt` tokens were given and whose others the model
    /// writes: [`Positions::Generated`] are those from `prompt` on.
    #[must_use]
    pub fn for_prompt(&self, prompt: usize) -> Self {
        match self.positions {
            Positions::Generated => Self { positions: Positions::From(prompt), ..self.clone() },
            _ => self.clone(),
        }
    }
}

/// What happens to an activation f.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// f' = v.
    Set(f32),
    /// f' = f + v.
    Add(f32),
    /// f' = f · s.
    Scale(f32),
    /// f' = 0.
    Ablate,
}

impl Op {
    /// The new activation in the place of `f`.
    pub fn apply(self, f: f32) -> f32 {
        match self {
            Self::Set(v) => v,
            Self::Add(v) => f + v,
            Self::Scale(s) => f * s,
            Self::Ablate => 0.0,
        }
    }
}

/// Positions of a text, counted from 0 with BOS, generated tokens included.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Positions {
    /// Every one.
    #[default]
    All,
    /// From the first, up to but without the end: `3..7` are 3, 4, 5, 6.
    Range(Range<usize>),
    /// From this one on.
    From(usize),
    /// These, in ascending order.
    List(Vec<usize>),
    /// Those of tokens that the model writes. Which they are is known only with a prompt, so that
    /// none is one of them before [`Edit::for_prompt`] has said so.
    Generated,
}

impl Positions {
    /// Whether `position` is one of them.
    pub fn contains(&self, position: usize) -> bool {
        match self {
            Self::All => true,
            Self::Range(range) => range.contains(&position),
            Self::From(first) => position >= *first,
            Self::List(list) => list.binary_search(&position).is_ok(),
            Self::Generated => false,
        }
    }
}

impl fmt::Display for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} {}", self.site, self.latent, self.op)?;
        match self.positions {
            Positions::All => Ok(()),
            _ => write!(f, " @ {}", self.positions),
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Set(v) => write!(f, "set {}", Number(*v)),
            Self::Add(v) => write!(f, "add {}", Number(*v)),
            Self::Scale(s) => write!(f, "scale {}", Number(*s)),
            Self::Ablate => f.write_str("ablate"),
        }
    }
}

/// A number in the fewest digits that read back as it, with an exponent where it is very great or
/// very small.
struct Number(f32);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(v) = *self;
        match v.abs() {
            size if size == 0.0 || (1e-4..1e7).contains(&size) => write!(f, "{v}"),
            _ => write!(f, "{v:e}"),
        }
    }
}

impl fmt::Display for Positions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Generated => f.write_str("generated"),
            Self::Range(range) => write!(f, "{}..{}", range.start, range.end),
            Self::From(first) => write!(f, "{first}.."),
            Self::List(list) => {
                let words: Vec<String> = list.iter().map(usize::to_string).collect();
                f.write_str(&words.join(","))
            }
        }
    }
}

impl FromStr for Edit {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (head, positions) = match text.split_once('@') {
            Some((head, positions)) => (head, positions.parse()?),
            None => (text, Positions::All),
        };
        let mut words = head.split_whitespace();
        let place = words.next().ok_or_else(|| unreadable(text))?;
        let (site, latent) = place.split_once('/').ok_or_else(|| unreadable(text))?;
        let op: Vec<&str> = words.collect();
        Ok(Self {
            site: site.parse()?,
            latent: latent.parse().map_err(|_| unreadable(text))?,
            positions,
            op: op.join(" ").parse().map_err(|_| unreadable(text))?,
        })
    }
}

impl FromStr for Op {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let number = |word: &str| match word.parse::<f32>() {
            Ok(v) if v.is_finite() => Ok(v),
            _ => Err(unreadable(text)),
        };
        match words.as_slice() {
            ["ablate"] => Ok(Self::Ablate),
            ["set", v] => Ok(Self::Set(number(v)?)),
            ["add", v] => Ok(Self::Add(number(v)?)),
            ["scale", s] => Ok(Self::Scale(number(s)?)),
            _ => Err(unreadable(text)),
        }
    }
}

impl FromStr for Positions {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let text = text.trim();
        let number = |word: &str| word.trim().parse::<usize>().map_err(|_| no_positions(text));
        if text == "all" {
            return Ok(Self::All);
        }
        if text == "generated" {
            return Ok(Self::Generated);
        }
        if let Some((first, end)) = text.split_once("..") {
            let first = if first.is_empty() { 0 } else { number(first)? };
            if end.is_empty() {
                return Ok(Self::From(first));
            }
            let end = number(end)?;
            return if first < end { Ok(Self::Range(first..end)) } else { Err(no_positions(text)) };
        }
        let mut list = text.split(',').map(number).collect::<Result<Vec<_>>>()?;
        list.sort_unstable();
        list.dedup();
        Ok(Self::List(list))
    }
}

impl TryFrom<String> for Edit {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Edit> for String {
    fn from(edit: Edit) -> Self {
        edit.to_string()
    }
}

fn unreadable(text: &str) -> Error {
    Error::setting(
        format!("{text:?} is no edit"),
        "an edit is SITE/LATENT and one of: set V, add V, scale S, ablate; then @ POSITIONS if not \
         everywhere",
        "Write for example resid.2/1234 set 0.5 @ 3..7",
    )
}

fn no_positions(text: &str) -> Error {
    Error::setting(
        format!("{text:?} are no positions"),
        "positions are all, generated, FIRST..END (the end is not in it), FIRST.., or a list with \
         commas",
        "Write for example 3..7",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_form_round_trips() {
        for text in [
            "resid.2/1234 set 0.5 @ 3..7",
            "mlp.0/7 ablate",
            "attn.1/3 scale 2 @ 5..",
            "embed/0 add -1.25 @ 0,4,6",
            "resid.2/9 add 3 @ generated",
        ] {
            let edit: Edit = text.parse().unwrap();
            assert_eq!(edit.to_string(), text);
            let json = serde_json::to_string(&edit).unwrap();
            assert_eq!(serde_json::from_str::<Edit>(&json).unwrap(), edit);
        }
        let edit: Edit = "resid.2/9   set  1e-3 @ ..4".parse().unwrap();
        assert_eq!(edit.to_string(), "resid.2/9 set 0.001 @ 0..4");
    }

    #[test]
    fn nonsense_is_refused_with_an_example() {
        for text in [
            "",
            "resid.2",
            "resid.2/x ablate",
            "resid.2/1",
            "resid.2/1 set",
            "resid.2/1 set NaN",
            "resid.2/1 set inf",
            "resid.2/1 ablate 3",
            "resid.2/1 ablate @ 7..3",
            "resid.2/1 ablate @ a",
            "resid.2/-1 ablate",
        ] {
            let error = text.parse::<Edit>().unwrap_err();
            assert!(error.remedy.contains("example"), "{text}: {error}");
        }
    }

    #[test]
    fn generated_positions_are_those_behind_the_prompt() {
        let edit: Edit = "resid.2/9 add 3 @ generated".parse().unwrap();
        assert!((0..99).all(|p| !edit.positions.contains(p)));
        assert_eq!(edit.for_prompt(7).to_string(), "resid.2/9 add 3 @ 7..");
        let other: Edit = "resid.2/9 add 3 @ 1..4".parse().unwrap();
        assert_eq!(other.for_prompt(7), other);
    }

    #[test]
    fn positions_hold_what_they_say() {
        let holds = |text: &str, wanted: &[usize]| {
            let positions: Positions = text.parse().unwrap();
            let held: Vec<usize> = (0..8).filter(|p| positions.contains(*p)).collect();
            assert_eq!(held, wanted, "{text}");
        };
        holds("all", &[0, 1, 2, 3, 4, 5, 6, 7]);
        holds("3..5", &[3, 4]);
        holds("6..", &[6, 7]);
        holds("5, 1,1", &[1, 5]);
    }
}
