//! From where a site is reached directly.

use crate::llama::Site;
use std::collections::BTreeSet;
use std::ops::Range;

/// What lies directly before a site: sites with nodes from which a path leads to it past no other
/// site with nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reach {
    /// These sites, in the order of the forward pass.
    pub from: Vec<Site>,
    /// Whether a path leads through an attention, and so from other positions.
    pub attention: bool,
    /// Blocks that paths lead through.
    pub blocks: Range<usize>,
}

/// What lies directly before `site`, `nodes` being the sites that have nodes.
pub(super) fn reach(site: Site, nodes: &BTreeSet<Site>) -> Reach {
    let mut out = Reach { from: Vec::new(), attention: false, blocks: 0..0 };
    let Some(top) = site.layer() else { return out };
    out.blocks = top..top + 1;
    for layer in (0..=top).rev() {
        out.blocks.start = layer;
        if site > Site::Mlp(layer) && nodes.contains(&Site::Mlp(layer)) {
            out.from.push(Site::Mlp(layer));
        }
        if site > Site::Attn(layer) {
            match nodes.contains(&Site::Attn(layer)) {
                true => out.from.push(Site::Attn(layer)),
                false => out.attention = true,
            }
        } else {
            out.attention = true;
        }
        let before = layer.checked_sub(1).map_or(Site::Embed, Site::Resid);
        if nodes.contains(&before) {
            out.from.push(before);
            break;
        }
    }
    out.from.reverse();
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use Site::{Attn, Embed, Mlp, Resid};

    fn nodes(sites: &[Site]) -> BTreeSet<Site> {
        sites.iter().copied().collect()
    }

    #[test]
    fn with_nodes_everywhere_neighbours_alone_are_reached() {
        let all = nodes(&Site::all(3));
        let found = |site| reach(site, &all);
        assert_eq!(found(Resid(2)).from, [Resid(1), Attn(2), Mlp(2)]);
        assert!(!found(Resid(2)).attention);
        assert_eq!(found(Mlp(2)).from, [Resid(1), Attn(2)]);
        assert!(!found(Mlp(2)).attention);
        assert_eq!(found(Attn(2)).from, [Resid(1)]);
        assert!(found(Attn(2)).attention);
        assert_eq!(found(Attn(0)).from, [Embed]);
        assert_eq!(found(Resid(2)).blocks, 2..3);
        assert!(found(Embed).from.is_empty());
    }

    #[test]
    fn without_nodes_in_between_paths_are_longer() {
        let found = reach(Resid(2), &nodes(&[Embed, Mlp(1), Resid(2)]));
        assert_eq!(found.from, [Embed, Mlp(1)]);
        assert!(found.attention);
        assert_eq!(found.blocks, 0..3);
        let found = reach(Mlp(1), &nodes(&[Attn(1), Resid(0), Embed]));
        assert_eq!(found.from, [Resid(0), Attn(1)]);
        assert_eq!(found.blocks, 1..2);
    }
}
