//! From gradients at a site's output to effects of its nodes.

use super::{Batch, Effect, Gather, Setup};
use crate::circuits::{Basis, Change};
use crate::error::{Error, Result};
use crate::llama::Site;
use crate::sae::{Latents, Sae, kernels};

/// What the nodes of a site are in some rows of a batch.
pub(in crate::circuits) struct Reading {
    /// Latents on the clean prompts; empty where coordinates are the nodes.
    pub clean: Latents,
    /// By how much each latent (or coordinate) changes, where it does: values of both signs.
    pub moves: Latents,
}

/// Reads `rows` of the batch at `site`.
pub(in crate::circuits) fn read(
    setup: &Setup<'_>,
    batch: &Batch,
    site: Site,
    rows: &[usize],
) -> Result<Reading> {
    let width = setup.model.config().width;
    let (clean, changed) = (batch.clean(site)?, batch.changed(setup, site)?);
    let take = |x: &[f32], out: &mut Vec<f32>| {
        for row in rows {
            out.extend_from_slice(&x[row * width..][..width]);
        }
    };
    let mut x = Vec::with_capacity(2 * rows.len() * width);
    take(&clean, &mut x);
    match setup.bases.sites.get(&site) {
        Some(Basis::Sae(sae)) => {
            let patched = setup.spec.change == Change::Patch;
            if patched {
                take(&changed, &mut x);
            }
            let mut clean = setup.encode(sae, site, &x)?;
            let moves = differences(&clean, rows.len(), patched);
            clean.row_start.truncate(rows.len() + 1);
            let kept = clean.row_start.last().copied().unwrap_or(0);
            clean.index.truncate(kept);
            clean.value.truncate(kept);
            Ok(Reading { clean, moves })
        }
        Some(Basis::Neurons) => {
            let mut out = Latents::new(width);
            for row in rows {
                let pairs = clean[row * width..][..width].iter().zip(&changed[row * width..]);
                let moves = pairs.enumerate().map(|(i, (x, y))| (i as u32, y - x));
                out.push_row(moves.filter(|(_, by)| *by != 0.0));
            }
            Ok(Reading { clean: Latents::new(width), moves: out })
        }
        None => Err(Error::internal("A site has no nodes", format!("{site} has no basis"))),
    }
}

/// What each of the first `rows` rows becomes, less what it is: the latents of the rows after them,
/// or zero.
fn differences(found: &Latents, rows: usize, patched: bool) -> Latents {
    let mut out = Latents::new(found.width);
    for row in 0..rows {
        let (index, value) = found.row(row);
        if !patched {
            out.push_row(index.iter().zip(value).map(|(i, f)| (*i, -f)));
            continue;
        }
        let (new_index, new_value) = found.row(rows + row);
        let (mut a, mut b) = (0, 0);
        while a < index.len() || b < new_index.len() {
            let old = index.get(a).copied().unwrap_or(u32::MAX);
            let new = new_index.get(b).copied().unwrap_or(u32::MAX);
            let mut by = 0.0;
            if old <= new {
                by -= value[a];
                a += 1;
            }
            if new <= old {
                by += new_value[b];
                b += 1;
            }
            if by != 0.0 {
                out.index.push(old.min(new));
                out.value.push(by);
            }
        }
        out.row_start.push(out.index.len());
    }
    out
}

/// Effects of the nodes of `site` in each pair, by the gradient there.
pub(in crate::circuits) fn project(
    setup: &Setup<'_>,
    batch: &Batch,
    site: Site,
    gradient: &[f32],
) -> Result<Vec<Vec<Effect>>> {
    let width = setup.model.config().width;
    let (clean, changed) = (batch.clean(site)?, batch.changed(setup, site)?);
    // Only rows where something changes and where it matters.
    let all = 0..batch.pairs() * batch.positions;
    let rows: Vec<usize> = all
        .filter(|r| batch.matters(*r))
        .filter(|r| gradient[r * width..][..width].iter().any(|g| *g != 0.0))
        .filter(|r| clean[r * width..][..width] != changed[r * width..][..width])
        .collect();
    let moves = read(setup, batch, site, &rows)?.moves;
    let at: Vec<f32> = rows.iter().flat_map(|r| &gradient[r * width..][..width]).copied().collect();
    let sae = setup.bases.sae(site);
    let slopes = match sae {
        Some(sae) => Some(slopes(setup, sae, site, &moves, &at)?),
        None => None,
    };
    let mut gather = Gather::new(setup, batch, moves.width);
    let mut next = 0;
    for pair in 0..batch.pairs() {
        while next < rows.len() && rows[next] / batch.positions == pair {
            let span = moves.row_start[next]..moves.row_start[next + 1];
            let g = &at[next * width..][..width];
            let mut latents = 0.0;
            for entry in span {
                let latent = moves.index[entry] as usize;
                let slope = slopes.as_ref().map_or_else(|| g[latent], |slopes| slopes[entry]);
                // The effect is F(clean) − F(changed).
                let effect = -f64::from(moves.value[entry]) * f64::from(slope);
                latents += effect;
                gather.add(rows[next], latent, effect);
            }
            if sae.is_some() {
                let (x, y) = (&clean[rows[next] * width..], &changed[rows[next] * width..]);
                let all: f64 =
                    (0..width).map(|i| f64::from(g[i]) * (f64::from(x[i]) - f64::from(y[i]))).sum();
                gather.add(rows[next], moves.width, all - latents);
            }
            next += 1;
        }
        gather.end_pair(pair);
    }
    Ok(gather.out)
}

/// ⟨g, d_i⟩ for each entry of `moves`, g being the row of `at`.
fn slopes(
    setup: &Setup<'_>,
    sae: &Sae,
    site: Site,
    moves: &Latents,
    at: &[f32],
) -> Result<Vec<f32>> {
    /// From one in so many latents on, all products together cost less than one by one.
    const DENSE: usize = 12;
    let mut out = vec![0.0; moves.len()];
    if moves.len() * DENSE < moves.rows() * moves.width {
        kernels::slopes(moves, &sae.decoder, at, 1.0, &mut out);
        return Ok(out);
    }
    let all = setup.products(sae, site, at)?;
    for row in 0..moves.rows() {
        for entry in moves.row_start[row]..moves.row_start[row + 1] {
            out[entry] = all[row * moves.width + moves.index[entry] as usize];
        }
    }
    Ok(out)
}
