//! Integrated gradients: the mean gradient on the way from the clean to the changed output of one
//! site, all else being clean.

use super::batch::{finite_gradient, output, rows_at_once};
use super::{Batch, Setup};
use crate::activations::numbers;
use crate::error::Result;
use crate::llama::{Rules, Site, WhatGradients};

/// Makes of the gradient at the clean run (α = 0) its mean over α = 0, 1/n, … (n − 1)/n.
///
/// The decoder is linear: latents and error that move together in a straight line move x in one,
/// so no dictionary is needed on the way.
pub(super) fn mean_along(
    setup: &Setup<'_>,
    batch: &Batch,
    site: Site,
    steps: usize,
    gradient: &mut [f32],
) -> Result<()> {
    let (clean, changed) = (batch.clean(site)?, batch.changed(setup, site)?);
    let pairs = batch.pairs();
    let mut sum: Vec<f64> = gradient.iter().map(|g| f64::from(*g)).collect();
    let at_once = (rows_at_once(setup) / (pairs * batch.positions).max(1)).max(1);
    let alphas: Vec<usize> = (1..steps).collect();
    for alphas in alphas.chunks(at_once) {
        let mut value = Vec::with_capacity(alphas.len() * clean.len());
        for step in alphas {
            let alpha = *step as f32 / steps as f32;
            value.extend(clean.iter().zip(&changed).map(|(x, y)| x + alpha * (y - x)));
        }
        let of: Vec<usize> = alphas.iter().flat_map(|_| 0..pairs).collect();
        let pass = batch.started(setup, site, value, &of, 0, true)?;
        let x = output(&pass.sites, setup.top)?;
        let seed = batch.gauge.gradients(x, &of, &Rules::default())?.1;
        (setup.check)()?;
        let what = WhatGradients { sites: &[site], ..WhatGradients::default() };
        let found = setup.model.backward_from(&pass, &[(setup.top, seed)], what)?;
        let found = numbers(output(&found.sites, site)?)?;
        finite_gradient(site, &found)?;
        for step in found.chunks(clean.len()) {
            sum.iter_mut().zip(step).for_each(|(sum, g)| *sum += f64::from(*g));
        }
    }
    for (gradient, sum) in gradient.iter_mut().zip(sum) {
        *gradient = (sum / steps as f64) as f32;
    }
    Ok(())
}
