//! Exact patching: a pass for each node, which begins where the node is changed.

use super::batch::{output, rows_at_once};
use super::{Batch, Effect, Gather, Setup, read};
use crate::circuits::{Aggregation, Basis, Unit};
use crate::error::Result;
use crate::llama::Site;
use crate::sae::Latents;
use std::collections::BTreeSet;

/// What one pass changes: row by row of one pair, which unit.
struct Task {
    pair: usize,
    unit: usize,
    /// Rows of the batch, with the amount by which the latent changes there.
    at: Vec<(usize, f32)>,
}

/// F(clean) − F(node changed) of each node of `site` in each pair: of all that change, or `only` of
/// these (positions are absolute).
///
/// Where positions are summed over, a node is changed at all positions at once.
pub(in crate::circuits) fn exact(
    setup: &Setup<'_>,
    batch: &Batch,
    site: Site,
    only: Option<&BTreeSet<(Option<u32>, Unit)>>,
) -> Result<Vec<Vec<Effect>>> {
    let width = setup.model.config().width;
    let (clean, changed) = (batch.clean(site)?, batch.changed(setup, site)?);
    let rows: Vec<usize> = (0..batch.pairs() * batch.positions)
        .filter(|r| batch.matters(*r))
        .filter(|r| clean[r * width..][..width] != changed[r * width..][..width])
        .collect();
    let moves = read(setup, batch, site, &rows)?.moves;
    let errors = errors(setup, site, &moves, &rows, &clean, &changed);
    let tasks = tasks(setup, batch, &moves, &rows, errors.is_some(), only);
    // Neighbours begin at the same position, so that one prefix serves them.
    let begins = |task: &Task| task.at.first().map_or(0, |(row, _)| row % batch.positions);
    let mut order: Vec<usize> = (0..tasks.len()).collect();
    order.sort_by_key(|i| (begins(&tasks[*i]), *i));
    let mut effects = vec![0.0; tasks.len()];
    let mut rest = &order[..];
    while let Some(first) = rest.first() {
        let skipped = begins(&tasks[*first]);
        let positions = batch.positions - skipped;
        let most = (rows_at_once(setup) / positions).max(1);
        let count =
            rest.iter().take(most).take_while(|i| begins(&tasks[**i]) == skipped).count().max(1);
        let (now, later) = rest.split_at(count);
        rest = later;
        let mut value = Vec::with_capacity(count * positions * width);
        for i in now {
            let task = &tasks[*i];
            let start = value.len();
            let from = (task.pair * batch.positions + skipped) * width;
            value.extend_from_slice(&clean[from..][..positions * width]);
            for (row, by) in &task.at {
                let at = start + (row % batch.positions - skipped) * width;
                let x = &mut value[at..][..width];
                match (setup.bases.sites.get(&site), &errors) {
                    (Some(Basis::Sae(_)), Some(errors)) if task.unit == moves.width => {
                        let error = &errors[row * width..][..width];
                        x.iter_mut().zip(error).for_each(|(x, e)| *x += e);
                    }
                    (Some(Basis::Sae(sae)), _) => {
                        let direction = sae.direction(task.unit);
                        x.iter_mut().zip(direction).for_each(|(x, d)| *x += by * d);
                    }
                    _ => x[task.unit] += by,
                }
            }
        }
        let of: Vec<usize> = now.iter().map(|i| tasks[*i].pair).collect();
        let pass = batch.started(setup, site, value, &of, skipped, false)?;
        let values = gauge_values(batch, setup, &pass, &of, skipped)?;
        for (i, value) in now.iter().zip(values) {
            effects[*i] = batch.clean_values[tasks[*i].pair] - value;
        }
    }
    let mut gather = Gather::new(setup, batch, moves.width);
    let mut next = 0;
    for pair in 0..batch.pairs() {
        while next < tasks.len() && tasks[next].pair == pair {
            let task = &tasks[next];
            if let Some((row, _)) = task.at.first() {
                gather.add(*row, task.unit, effects[next]);
            }
            next += 1;
        }
        gather.end_pair(pair);
    }
    Ok(gather.out)
}

/// F of each row of a pass that began `skipped` positions after the batch's first.
fn gauge_values(
    batch: &Batch,
    setup: &Setup<'_>,
    pass: &crate::llama::Pass,
    of: &[usize],
    skipped: usize,
) -> Result<Vec<f64>> {
    let x = output(&pass.sites, setup.top)?;
    if skipped == 0 {
        return batch.gauge.values(x, of);
    }
    // A probe that reads the mean wants the positions before too; they are the clean ones.
    let clean = output(&batch.clean.sites, setup.top)?.narrow(1, 0, skipped)?;
    let names: Vec<u32> = of.iter().map(|i| *i as u32).collect();
    let names = candle_core::Tensor::new(names, x.device())?;
    let before = clean.contiguous()?.index_select(&names, 0)?;
    let whole = candle_core::Tensor::cat(&[&before, x], 1)?.contiguous()?;
    batch.gauge.values(&whole, of)
}

/// By how much the error changes in each row, where there is one; `rows` of them are filled in.
pub(in crate::circuits) fn errors(
    setup: &Setup<'_>,
    site: Site,
    moves: &Latents,
    rows: &[usize],
    clean: &[f32],
    changed: &[f32],
) -> Option<Vec<f32>> {
    let sae = setup.bases.sae(site)?;
    let width = sae.width();
    let mut out = vec![0.0; clean.len()];
    for (at, row) in rows.iter().enumerate() {
        let (index, value) = moves.row(at);
        let error = &mut out[row * width..][..width];
        for (c, error) in error.iter_mut().enumerate() {
            *error = changed[row * width + c] - clean[row * width + c];
        }
        for (latent, by) in index.iter().zip(value) {
            let direction = sae.direction(*latent as usize);
            error.iter_mut().zip(direction).for_each(|(e, d)| *e -= by * d);
        }
    }
    Some(out)
}

fn tasks(
    setup: &Setup<'_>,
    batch: &Batch,
    moves: &Latents,
    rows: &[usize],
    errors: bool,
    only: Option<&BTreeSet<(Option<u32>, Unit)>>,
) -> Vec<Task> {
    let mut found: Vec<(usize, usize, usize, f32)> = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        let (index, value) = moves.row(at);
        let error = errors.then_some((moves.width, 0.0));
        let latents = index.iter().zip(value).map(|(i, by)| (*i as usize, *by));
        for (unit, by) in latents.chain(error) {
            found.push((row / batch.positions, unit, *row, by));
        }
    }
    let summed = setup.spec.aggregation == Aggregation::Summed;
    if summed {
        found.sort_unstable_by_key(|(pair, unit, row, _)| (*pair, *unit, *row));
    }
    let mut tasks: Vec<Task> = Vec::new();
    for (pair, unit, row, by) in found {
        if let Some(only) = only {
            let position = (!summed).then_some((batch.first + row % batch.positions) as u32);
            let name = match unit == moves.width {
                true if errors => Unit::Error,
                _ => Unit::Latent(unit as u32),
            };
            if !only.contains(&(position, name)) {
                continue;
            }
        }
        match tasks.last_mut() {
            Some(task) if summed && task.pair == pair && task.unit == unit => {
                task.at.push((row, by))
            }
            _ => tasks.push(Task { pair, unit, at: vec![(row, by)] }),
        }
    }
    tasks
}
