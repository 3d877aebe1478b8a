//! Cuts and edits say the same thing: what one screen keeps, another can do.

use super::{Cut, CutOp, Node, Unit};
use crate::edits::{Edit, Op, Positions};

/// What became of cuts as edits, or of edits as cuts.
#[derive(Debug, Clone, PartialEq)]
pub struct Recut<T> {
    /// What does the same.
    pub made: Vec<T>,
    /// How many have no counterpart and were left out: of edits those that speak of positions that
    /// no prompt has (generated ones); of cuts those to a mean or to another prompt's value, and
    /// those of errors.
    pub left_out: usize,
}

/// Cuts that do what `edits` do to prompts of at most `positions` positions.
pub fn cuts_of(edits: &[Edit], positions: usize) -> Recut<Cut> {
    let mut made = Vec::new();
    for edit in edits {
        let op = match edit.op {
            Op::Set(v) => CutOp::Set(v),
            Op::Add(v) => CutOp::Add(v),
            Op::Scale(s) => CutOp::Scale(s),
            Op::Ablate => CutOp::Zero,
        };
        let node = |position| Node { site: edit.site, position, unit: Unit::Latent(edit.latent) };
        let nodes: Vec<Node> = match &edit.positions {
            Positions::All => vec![node(None)],
            some => (0..positions)
                .filter(|position| some.contains(*position))
                .map(|position| node(Some(position as u32)))
                .collect(),
        };
        if !nodes.is_empty() {
            made.push(Cut { nodes, op });
        }
    }
    Recut { left_out: edits.len() - made.len(), made }
}

/// Edits that do what `cuts` do.
pub fn edits_of(cuts: &[Cut]) -> Recut<Edit> {
    let mut made = Vec::new();
    let mut left_out = 0;
    for cut in cuts {
        let op = match cut.op {
            CutOp::Zero => Some(Op::Ablate),
            CutOp::Scale(s) => Some(Op::Scale(s)),
            CutOp::Set(v) => Some(Op::Set(v)),
            CutOp::Add(v) => Some(Op::Add(v)),
            CutOp::Mean | CutOp::Resample => None,
        };
        for node in &cut.nodes {
            let (Some(op), Unit::Latent(latent)) = (op, node.unit) else {
                left_out += 1;
                continue;
            };
            let positions = match node.position {
                None => Positions::All,
                Some(position) => Positions::List(vec![position as usize]),
            };
            made.push(Edit { site: node.site, latent, positions, op });
        }
    }
    Recut { made, left_out }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edits(texts: &[&str]) -> Vec<Edit> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn edits_become_cuts_and_come_back() {
        let asked = edits(&[
            "resid.2/7 ablate",
            "mlp.1/3 add 2.5",
            "embed/0 scale 0.5",
            "attn.0/4 set -1 @ 3",
        ]);
        let cuts = cuts_of(&asked, 10);
        let said: Vec<String> = cuts.made.iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            ["resid.2/7 zero", "mlp.1/3 add 2.5", "embed/0 scale 0.5", "attn.0/4@3 set -1"]
        );
        assert_eq!(edits_of(&cuts.made), Recut { made: asked, left_out: 0 });
    }

    #[test]
    fn a_range_is_cut_position_by_position() {
        let cuts = cuts_of(&edits(&["resid.2/7 ablate @ 8.."]), 10);
        assert_eq!(cuts.made[0].to_string(), "resid.2/7@8,resid.2/7@9 zero");
        let cuts = cuts_of(&edits(&["resid.2/7 ablate @ 12.."]), 10);
        assert_eq!((cuts.made.len(), cuts.left_out), (0, 1));
    }

    #[test]
    fn what_no_edit_can_say_is_counted() {
        let cuts: Vec<Cut> = ["resid.2/7,resid.2/8 mean", "resid.2/error zero", "resid.2/1 zero"]
            .iter()
            .map(|text| text.parse().unwrap())
            .collect();
        let edits = edits_of(&cuts);
        assert_eq!((edits.made.len(), edits.left_out), (1, 3));
    }
}
