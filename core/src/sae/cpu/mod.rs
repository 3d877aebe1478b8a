//! The engine on the processor.

mod choose;
mod gated;
mod jump;
mod nested;
mod penalty;
mod state;

use super::engine::{
    Choose, Engine, Into, OptimizerState, Parameters, Penalty, Set, Spent, Target,
};
use super::kernels::{
    self, Adam, Choice, Coarse, Encoding, Gradients, Grain, Packed, Reconstruction, Scatter, Slice,
    Stop, Sums, TopEncoding,
};
use super::{Extra, Latents, Wiring};
use crate::error::{Error, Result};
use rayon::prelude::*;
use state::State;
use std::time::Instant;

/// Above this share of active latents a dense array is cheaper than lists.
const DENSE_ABOVE: f64 = 0.08;

/// Weights, moments, gradients and working memory, all kept from step to step.
pub(super) struct Cpu {
    parameters: Parameters,
    optimizer: OptimizerState,
    wiring: Wiring,
    gradients: Gradients,
    /// Gradients of the weights that only some architectures have.
    extra: Extra,
    /// Gradient of the decoder bias that does not come by way of the encoder.
    direct: Vec<f64>,
    /// Gated: what reaches the encoder by way of the magnitudes, summed by latent.
    by_magnitude: Vec<f32>,
    /// The encoder as the product wants it; stale once the weights have moved.
    packed: Packed,
    stale: bool,
    packed_part: Packed,
    encoding: Encoding,
    /// Where the k greatest latents are sought by way of a coarse product.
    choice: Choice,
    coarse: Coarse,
    coarse_stale: bool,
    top_encoding: TopEncoding,
    batch: Vec<f32>,
    /// What is to be reconstructed, where that is not the batch.
    target: Vec<f32>,
    /// Its variance before the skip took its part away.
    target_variance: Option<f64>,
    /// What the encoder sees, where that is not the batch.
    centred: Vec<f32>,
    main: State,
    auxiliary: State,
    /// Of a dense step of Gated: products of directions and errors, `[n, m]`.
    products: Vec<f32>,
    nested_squares: Vec<f64>,
    norms: Vec<f32>,
    partial: Vec<f64>,
    pull: Vec<f64>,
    spent: Spent,
    dense_above: f64,
}

impl Cpu {
    pub(super) fn new(parameters: Parameters, optimizer: OptimizerState, wiring: Wiring) -> Self {
        let (m, d) = (parameters.encoder.rows(), parameters.encoder.cols());
        let mut extra = parameters.extra.clone();
        extra.parts_mut().into_iter().for_each(|(_, part)| part.fill(0.0));
        let gradients = Gradients::new(m, d);
        parameters.parts().iter().for_each(|(_, part)| kernels::prefer_large(part));
        for moments in &optimizer.moments {
            kernels::prefer_large(&moments.first);
            kernels::prefer_large(&moments.second);
        }
        kernels::prefer_large(gradients.encoder.data());
        kernels::prefer_large(gradients.decoder.data());
        Self {
            gradients,
            extra,
            direct: vec![0.0; d],
            by_magnitude: Vec::new(),
            packed: Packed::new(),
            stale: true,
            packed_part: Packed::new(),
            encoding: Encoding::default(),
            choice: Choice::default(),
            coarse: Coarse::new(Grain::Int8),
            coarse_stale: true,
            top_encoding: TopEncoding::default(),
            batch: Vec::new(),
            target: Vec::new(),
            target_variance: None,
            centred: Vec::new(),
            main: State::new(m, d),
            auxiliary: State::new(m, d),
            products: Vec::new(),
            nested_squares: Vec::new(),
            norms: Vec::new(),
            partial: Vec::new(),
            pull: vec![0.0; d],
            spent: Spent::default(),
            dense_above: DENSE_ABOVE,
            parameters,
            optimizer,
            wiring,
        }
    }

    fn state(&self, set: Set) -> &State {
        match set {
            Set::Main => &self.main,
            Set::Auxiliary => &self.auxiliary,
        }
    }

    fn width(&self) -> usize {
        self.parameters.b_dec.len()
    }

    /// What is to be reconstructed.
    fn wanted(&self) -> &[f32] {
        if self.target.is_empty() { &self.batch } else { &self.target }
    }

    /// The gradient of the decoder bias from its two ways: the reconstruction, and what is
    /// subtracted before the encoder.
    fn finish_bias(&mut self) {
        if self.wiring == Wiring::Centred {
            let own = &mut self.gradients.b_enc;
            let kept = (!self.by_magnitude.is_empty()).then(|| own.clone());
            own.iter_mut().zip(&self.by_magnitude).for_each(|(g, by)| *g += by);
            let encoder = &self.parameters.encoder;
            kernels::pull_on_bias(&self.gradients, encoder, &mut self.partial, &mut self.pull);
            if let Some(kept) = kept {
                self.gradients.b_enc = kept;
            }
        }
        let both = self.direct.iter().zip(&self.pull);
        self.gradients.b_dec.iter_mut().zip(both).for_each(|(g, (a, b))| *g = (a - b) as f32);
    }

    /// Adds what a loss `weight Σ‖e‖²` says to the weights that see no latent.
    fn add_direct(&mut self, set: Set, weight: f32) {
        let state = match set {
            Set::Main => &self.main,
            Set::Auxiliary => &self.auxiliary,
        };
        let twice = 2.0 * f64::from(weight);
        self.direct.iter_mut().zip(&state.error_sum).for_each(|(g, s)| *g += twice * s);
        add_outer(&mut self.extra, &state.error, &self.batch, 2.0 * weight);
    }
}

/// Adds `factor Σ e xᵀ` to the gradient of a skip matrix, if there is one.
fn add_outer(extra: &mut Extra, error: &[f32], batch: &[f32], factor: f32) {
    const BLOCK: usize = 64;
    let d = extra.skip.cols();
    if d == 0 {
        return;
    }
    let n = batch.len() / d;
    extra.skip.data_mut().par_chunks_mut(BLOCK * d).enumerate().for_each(|(block, out)| {
        let rows = out.len() / d;
        let error = &error[block * BLOCK..];
        kernels::add_product(rows, d, n, out, error, (1, d), batch, factor);
    });
}

impl Engine for Cpu {
    fn load(&mut self, batch: &[f32], target: Option<&[f32]>) {
        let start = Instant::now();
        // Under 0 a threshold would let negative activations through; a step may leave it there.
        self.parameters.extra.threshold.iter_mut().for_each(|t| *t = t.max(0.0));
        self.batch.clear();
        self.batch.extend_from_slice(batch);
        self.centred.clear();
        if self.wiring == Wiring::Centred {
            self.centred.extend_from_slice(batch);
            kernels::subtract_from_rows(&mut self.centred, &self.parameters.b_dec);
        }
        self.target.clear();
        self.target_variance = target.map(|target| kernels::variance(target, self.width()));
        if let Some(target) = target {
            self.target.extend_from_slice(target);
            let skip = &self.parameters.extra.skip;
            kernels::add_product_of_rows(&mut self.target, skip, batch, -1.0);
        }
        self.gradients.touched.fill(false);
        self.gradients.b_enc.fill(0.0);
        self.gradients.b_dec.fill(0.0);
        self.extra.parts_mut().into_iter().for_each(|(_, part)| part.fill(0.0));
        self.by_magnitude.clear();
        self.direct.fill(0.0);
        self.spent.prepare += start.elapsed().as_secs_f64();
    }

    fn encode(
        &mut self,
        set: Set,
        among: Option<&[u32]>,
        choose: Choose,
        by_norm: bool,
        stop: Stop<'_>,
    ) -> Result<()> {
        self.choose(set, among, choose, by_norm, stop)
    }

    fn reconstruct(
        &mut self,
        set: Set,
        target: Target,
        weight: f32,
        penalty: Penalty,
        stop: Stop<'_>,
    ) -> Result<Sums> {
        let start = Instant::now();
        let Parameters { decoder, b_dec, .. } = &self.parameters;
        if matches!(penalty, Penalty::Contribution(_) | Penalty::Tanh { .. }) {
            self.norms = decoder.row_norms();
        }
        let wanted = if self.target.is_empty() { &self.batch } else { &self.target };
        let (state, input, sign, bias) = match (set, target) {
            (Set::Main, Target::Input) => (&mut self.main, wanted, 1.0, Some(&b_dec[..])),
            (Set::Auxiliary, Target::Input) => (&mut self.auxiliary, wanted, 1.0, Some(&b_dec[..])),
            // x - x̂ is the main error with the other sign.
            (Set::Auxiliary, Target::Residual) => {
                (&mut self.auxiliary, &self.main.error, -1.0, None)
            }
            (Set::Main, Target::Residual) => {
                return Err(Error::internal(
                    "A reconstruction was asked for that makes no sense",
                    "the main set was to explain its own residual",
                ));
            }
        };
        let how = Reconstruction {
            bias,
            target: input,
            sign,
            weight,
            penalty: match penalty {
                Penalty::Activation(p) | Penalty::Contribution(p) => p,
                _ => 0.0,
            },
            norms: matches!(penalty, Penalty::Contribution(_)).then_some(&self.norms[..]),
        };
        state.error.resize(self.batch.len(), 0.0);
        let State { latents, dense, error, slope, error_sum, .. } = state;
        let mut sums = if state.is_dense {
            kernels::reconstruct_dense(dense, decoder, how, error, error_sum, stop)?
        } else {
            slope.resize(latents.len(), 0.0);
            let partial = &mut self.partial;
            kernels::reconstruct(latents, decoder, how, error, slope, partial, error_sum, stop)?
        };
        state.penalise(penalty, &self.norms, &mut sums);
        (state.weight, state.penalty, state.target) = (weight, penalty, target);
        state.squares = sums.squares;
        self.spent.reconstruct += start.elapsed().as_secs_f64();
        Ok(sums)
    }

    fn error_variance(&self, set: Set) -> f64 {
        let state = self.state(set);
        let rows = (state.error.len() / self.width()).max(1) as f64;
        let of_mean: f64 = state.error_sum.iter().map(|s| s * s).sum::<f64>() / rows;
        (state.squares - of_mean).max(0.0)
    }

    fn target_variance(&self) -> f64 {
        match self.target_variance {
            Some(variance) => variance,
            None => kernels::variance(&self.batch, self.width()),
        }
    }

    fn scatter(&mut self, set: Set, into: Into, stop: Stop<'_>) -> Result<()> {
        if set == Set::Auxiliary && into == Into::Encoder && self.auxiliary.is_dense {
            return self.scatter_gates_densely(stop);
        }
        let start = Instant::now();
        let seen = if self.wiring == Wiring::Centred { &self.centred } else { &self.batch };
        let state = match set {
            Set::Main => &mut self.main,
            Set::Auxiliary => &mut self.auxiliary,
        };
        if state.is_dense {
            // What is asked of the activations later must be asked before they are used up.
            state.count_dense();
        }
        let how = Scatter {
            input: seen,
            error: &state.error,
            weight: if into == Into::Encoder { 0.0 } else { state.weight },
            shrink: match state.penalty {
                Penalty::Contribution(p) if into != Into::Encoder => {
                    Some((&self.parameters.decoder, &self.norms[..], p))
                }
                _ => None,
            },
        };
        if into == Into::Decoder {
            state.slope.fill(0.0);
        }
        if state.is_dense {
            let penalty = match state.penalty {
                Penalty::Activation(p) | Penalty::Contribution(p) => p,
                _ => 0.0,
            };
            kernels::scatter_dense(
                &mut state.dense,
                &self.parameters.decoder,
                &mut self.packed_part,
                how,
                penalty,
                &mut self.gradients,
                stop,
            )?;
        } else {
            state.columns.sort(&state.latents, &state.slope);
            kernels::scatter(&state.columns, how, &mut self.gradients, stop)?;
            if into != Into::Encoder {
                let decoder = &self.parameters.decoder;
                state.pull_on_directions(decoder, &self.norms, &mut self.gradients);
            }
        }
        if state.target == Target::Input && into != Into::Encoder {
            let weight = state.weight;
            self.add_direct(set, weight);
        }
        self.finish_bias();
        self.spent.scatter += start.elapsed().as_secs_f64();
        Ok(())
    }

    fn magnitudes(&mut self) {
        self.open_gates();
    }

    fn scatter_magnitudes(&mut self, stop: Stop<'_>) -> Result<()> {
        self.scatter_open_gates(stop)
    }

    fn encode_jump(&mut self, bandwidth: f32, may_be_dense: bool, stop: Stop<'_>) -> Result<()> {
        self.jump(bandwidth, may_be_dense, stop)
    }

    fn scatter_jump(
        &mut self,
        bandwidth: f32,
        each: f32,
        on_f: bool,
        stop: Stop<'_>,
    ) -> Result<()> {
        if self.main.is_dense {
            return self.scatter_jump_densely(bandwidth, each, on_f, stop);
        }
        self.scatter(Set::Main, Into::All, stop)?;
        self.threshold_gradient(bandwidth, each, on_f, stop)
    }

    fn pull_up(&mut self, among: &[u32], each: f32, stop: Stop<'_>) -> Result<f64> {
        self.pull_up_silent(among, each, stop)
    }

    fn nested(&mut self, ends: &[usize], weights: &[f32], stop: Stop<'_>) -> Result<Vec<f64>> {
        self.reconstruct_nested(ends, weights, stop)
    }

    fn nested_squares(&self) -> &[f64] {
        &self.nested_squares
    }

    fn least(&self) -> Option<f64> {
        self.main.least()
    }

    fn mean_least(&self) -> Option<f64> {
        self.main.mean_least()
    }

    fn power(&self, p: f64, root: bool) -> f64 {
        self.main.power(p, root)
    }

    fn latents(&self, set: Set) -> Latents {
        self.state(set).latents.clone()
    }

    fn errors(&self, set: Set) -> &[f32] {
        &self.state(set).error
    }

    fn active(&self, set: Set) -> usize {
        let state = self.state(set);
        if state.is_dense { state.active } else { state.latents.len() }
    }

    fn mark_fired(&self, set: Set, fired: &mut [bool]) {
        let state = self.state(set);
        if state.is_dense {
            fired.iter_mut().zip(&state.fired).for_each(|(all, own)| *all |= own);
        } else {
            state.latents.index.iter().for_each(|i| fired[*i as usize] = true);
        }
    }

    fn gradient_norm(&mut self, unit: bool) -> f64 {
        let start = Instant::now();
        let decoder = unit.then_some(&self.parameters.decoder);
        let norm = kernels::gradient_norm(&self.gradients, decoder, &mut self.partial);
        let square = |part: &[f32]| part.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>();
        let rest: f64 = self.extra.parts().into_iter().map(|(_, part)| square(part)).sum();
        let norm = if rest == 0.0 { norm } else { (norm * norm + rest).sqrt() };
        self.spent.norm += start.elapsed().as_secs_f64();
        norm
    }

    fn update(&mut self, adam: &Adam, unit: bool) {
        let start = Instant::now();
        let Parameters { encoder, b_enc, decoder, b_dec, extra } = &mut self.parameters;
        let [of_encoder, of_b_enc, of_decoder, of_b_dec, of_extra @ ..] =
            &mut self.optimizer.moments[..]
        else {
            return;
        };
        let (d, g) = (b_dec.len(), &self.gradients);
        let slice = Slice { weights: encoder.data_mut(), moments: of_encoder };
        kernels::update_rows(d, slice, &g.encoder, &g.touched, adam, false);
        let slice = Slice { weights: decoder.data_mut(), moments: of_decoder };
        kernels::update_rows(d, slice, &g.decoder, &g.touched, adam, unit);
        let slice = Slice { weights: b_enc, moments: of_b_enc };
        kernels::update_bias(slice, |i| if g.touched[i] { g.b_enc[i] } else { 0.0 }, adam);
        let slice = Slice { weights: b_dec, moments: of_b_dec };
        kernels::update_bias(slice, |i| g.b_dec[i], adam);
        let gradients = self.extra.parts();
        for (((_, weights), (_, g)), moments) in
            extra.parts_mut().into_iter().zip(gradients).zip(of_extra)
        {
            kernels::update_bias(Slice { weights, moments }, |i| g[i], adam);
        }
        self.stale = true;
        self.coarse_stale = true;
        self.choice.count();
        self.spent.update += start.elapsed().as_secs_f64();
    }

    fn rewrite(&mut self, change: &mut dyn FnMut(&mut Parameters, &mut OptimizerState)) {
        change(&mut self.parameters, &mut self.optimizer);
        self.stale = true;
        self.coarse_stale = true;
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn optimizer(&self) -> &OptimizerState {
        &self.optimizer
    }

    fn gradients(&self) -> Parameters {
        let g = &self.gradients;
        let mut all = Parameters {
            encoder: g.encoder.clone(),
            b_enc: g.b_enc.clone(),
            decoder: g.decoder.clone(),
            b_dec: g.b_dec.clone(),
            extra: self.extra.clone(),
        };
        let d = self.width();
        let silent = g.touched.par_iter().map(|t| !t);
        all.encoder
            .data_mut()
            .par_chunks_mut(d)
            .zip(all.decoder.data_mut().par_chunks_mut(d))
            .zip(&mut all.b_enc)
            .zip(silent)
            .filter(|(_, silent)| *silent)
            .for_each(|(((encoder, decoder), b_enc), _)| {
                encoder.fill(0.0);
                decoder.fill(0.0);
                *b_enc = 0.0;
            });
        all
    }

    fn spent(&self) -> Spent {
        self.spent
    }
}

#[cfg(test)]
mod tests;
