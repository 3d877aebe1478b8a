//! The evaluation job.

use super::loss::{Loss, loss, targets};
use super::quality::Quality;
use super::sample::{Sample, batch_with_logits, check_memory, site_of};
use super::{EvalSpec, Evaluation, LossRecovered};
use crate::activations::{Group, check_of, gather, groups, numbers, site_output};
use crate::edits::Replace;
use crate::error::{Error, Result};
use crate::jobs::JobContext;
use crate::llama::{Change, Logits, Model, Pass, Site};
use crate::sae::{Sae, Wiring};
use candle_core::Tensor;

/// Looks how good `sae` is on the activations of `model`.
///
/// Every number is over the same tokens: those whose activations are used (a dropped BOS is none
/// of them). The cross-entropies are over those of them that are followed by a token of the same
/// row and document, in three passes: the model as it is, with x̂ in the place of x at the used
/// tokens, and with zero there. A BOS that is dropped keeps its own activation in all three.
///
/// # Errors
/// A dictionary that does not fit (see [`super::site_of`]), text that cannot be read, a NaN, too
/// little memory, cancelled.
pub fn evaluate<E>(
    ctx: &JobContext<E>,
    model: &Model,
    sae: &Sae,
    spec: &EvalSpec,
) -> Result<Evaluation> {
    if matches!(sae.wiring, Wiring::Transcoder { .. }) {
        return Err(Error::setting(
            "A transcoder cannot be evaluated as a dictionary of one site",
            "it gives what the model makes of its input at another site",
            "Look at the FVU of its training curve, which is that of the other site",
        ));
    }
    let site = site_of(model, sae, spec.site, spec.allow_foreign)?;
    let batch = batch_with_logits(model, spec.batch);
    check_memory(model, "evaluate", batch, spec.rows.length, Logits::All, 0)?;
    let mut sample =
        Sample::open(model, &spec.corpus, spec.rows, spec.tokens, spec.skip, spec.seed)?;
    let check = check_of(ctx);
    ctx.progress().stage("Evaluating", "tokens", 0, spec.tokens);
    let mut quality = Quality::new(sae.width(), sae.latents());
    let mut losses = [Loss::default(); 3];
    while let Some(rows) = sample.next(batch, &check)? {
        for members in groups(&rows, batch) {
            check()?;
            let group = Group::new(&rows, &members)?;
            let used = group.used();
            let targets = targets(&group);
            let plain = group.forward(model, Some(site), &[], Logits::All, &check)?;
            losses[0].add(loss_of(model, &plain, &targets)?);
            let x = site_output(&plain, site)?;
            let shape = plain.sites[&site].dims3()?;
            drop(plain);
            let taken = gather(&x, sae.width(), &used, site)?;
            let latents = sae.encode(&taken)?;
            let decoded = sae.decode(&latents)?;
            quality.add(&taken, &latents, &decoded);
            let zero = vec![0.0; decoded.len()];
            for (loss, values) in losses[1..].iter_mut().zip([&decoded, &zero]) {
                check()?;
                let changed = replaced(model, x.clone(), shape, &used, values)?;
                let change: &[(Site, &dyn Change)] = &[(site, &changed)];
                let pass = group.forward(model, None, change, Logits::All, &check)?;
                loss.add(loss_of(model, &pass, &targets)?);
            }
            ctx.progress().add(used.len() as u64);
        }
    }
    let figures = quality.figures();
    let [model_loss, sae_loss, zero_loss] = losses.map(Loss::mean);
    let loss =
        (losses[0].predictions > 0).then(|| LossRecovered::new(model_loss, sae_loss, zero_loss));
    Ok(Evaluation {
        sample: Some(EvalSpec { site: Some(site), ..spec.clone() }),
        tokens: figures.rows,
        corpus: spec.corpus.to_string(),
        seed: spec.seed,
        l0: figures.l0,
        mse: figures.mse,
        fvu: figures.fvu,
        fvu_per_token: figures.fvu_per_token,
        gamma: figures.gamma,
        dead: figures.dead,
        loss,
        density: figures.density,
    })
}

/// The activations `x` with other values (`[used, width]`) at the used tokens.
fn replaced(
    model: &Model,
    mut x: Vec<f32>,
    shape: (usize, usize, usize),
    used: &[usize],
    values: &[f32],
) -> Result<Replace> {
    let width = shape.2;
    for (row, new) in used.iter().zip(values.chunks_exact(width)) {
        x[row * width..(row + 1) * width].copy_from_slice(new);
    }
    Ok(Replace(Tensor::from_vec(x, shape, model.device())?))
}

/// The loss of a pass with all its logits.
pub(super) fn loss_of(model: &Model, pass: &Pass, targets: &[(usize, u32)]) -> Result<Loss> {
    let logits = pass
        .logits
        .as_ref()
        .ok_or_else(|| Error::internal("The loss was not computed", "the pass has no logits"))?;
    Ok(loss(&numbers(logits)?, model.config().vocab, targets))
}
