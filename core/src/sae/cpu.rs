//! The engine on the processor.

use super::Latents;
use super::engine::{Engine, OptimizerState, Parameters, Penalty, Set, Spent, Target};
use super::kernels::{
    self, Adam, Choice, Coarse, Columns, Encoding, Gradients, Grain, Packed, Reconstruction,
    Scatter, Select, Slice, Stop, Sums, TopEncoding,
};
use crate::error::{Error, Result};
use rayon::prelude::*;
use std::time::Instant;

/// Above this share of active latents a dense array is cheaper than lists.
const DENSE_ABOVE: f64 = 0.08;

/// Rows that are looked at to find out.
const SAMPLE: usize = 128;

/// One set of active latents of the batch, and its error.
#[derive(Debug)]
struct State {
    latents: Latents,
    /// Every activation, `[n, m]`, in place of `latents` where many are active.
    dense: Vec<f32>,
    is_dense: bool,
    columns: Columns,
    /// `[n, d]`.
    error: Vec<f32>,
    /// Σ e over the rows.
    error_sum: Vec<f64>,
    squares: f64,
    /// Gradient of the loss by each activation, in the order of the latents' entries.
    slope: Vec<f32>,
    /// Of a dense set: number of active latents, and which are active in some row.
    active: usize,
    fired: Vec<bool>,
    weight: f32,
    penalty: Penalty,
    target: Target,
}

/// Weights, moments, gradients and working memory, all kept from step to step.
pub(super) struct Cpu {
    parameters: Parameters,
    optimizer: OptimizerState,
    gradients: Gradients,
    /// Gradient of the decoder bias that does not come by way of the encoder.
    direct: Vec<f64>,
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
    centred: Vec<f32>,
    main: State,
    auxiliary: State,
    norms: Vec<f32>,
    partial: Vec<f64>,
    pull: Vec<f64>,
    spent: Spent,
    dense_above: f64,
}

impl Cpu {
    pub(super) fn new(parameters: Parameters, optimizer: OptimizerState) -> Self {
        let (m, d) = (parameters.encoder.rows(), parameters.encoder.cols());
        Self {
            gradients: Gradients::new(m, d),
            direct: vec![0.0; d],
            packed: Packed::new(),
            stale: true,
            packed_part: Packed::new(),
            encoding: Encoding::default(),
            choice: Choice::default(),
            coarse: Coarse::new(Grain::Int8),
            coarse_stale: true,
            top_encoding: TopEncoding::default(),
            batch: Vec::new(),
            centred: Vec::new(),
            main: State::new(m, d),
            auxiliary: State::new(m, d),
            norms: Vec::new(),
            partial: Vec::new(),
            pull: vec![0.0; d],
            spent: Spent::default(),
            dense_above: DENSE_ABOVE,
            parameters,
            optimizer,
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

    /// The k greatest latents by way of a coarse product.
    fn encode_top(&mut self, set: Set, k: usize, grain: Grain, stop: Stop<'_>) -> Result<()> {
        let start = Instant::now();
        let Parameters { encoder, b_enc, .. } = &self.parameters;
        if self.coarse_stale || self.coarse.grain() != grain {
            self.coarse.pack(grain, encoder, b_enc);
            self.coarse_stale = false;
        }
        self.spent.prepare += start.elapsed().as_secs_f64();
        let start = Instant::now();
        let state = match set {
            Set::Main => &mut self.main,
            Set::Auxiliary => &mut self.auxiliary,
        };
        state.is_dense = false;
        let (rows, memory) = (&self.centred, &mut self.top_encoding);
        let coarse = &self.coarse;
        let rescored =
            kernels::encode_top(rows, encoder, b_enc, coarse, k, memory, &mut state.latents, stop)?;
        let rows = state.latents.rows().max(1) as f64;
        self.choice.learn(grain, rescored as f64 / rows);
        self.spent.encode += start.elapsed().as_secs_f64();
        Ok(())
    }

    fn finish_bias(&mut self) {
        let Parameters { encoder, .. } = &self.parameters;
        kernels::pull_on_bias(&self.gradients, encoder, &mut self.partial, &mut self.pull);
        let both = self.direct.iter().zip(&self.pull);
        self.gradients.b_dec.iter_mut().zip(both).for_each(|(g, (a, b))| *g = (a - b) as f32);
    }
}

impl State {
    fn new(m: usize, d: usize) -> Self {
        Self {
            latents: Latents::new(m),
            dense: Vec::new(),
            is_dense: false,
            columns: Columns::default(),
            error: Vec::new(),
            error_sum: vec![0.0; d],
            squares: 0.0,
            slope: Vec::new(),
            active: 0,
            fired: vec![false; m],
            weight: 0.0,
            penalty: Penalty::None,
            target: Target::Input,
        }
    }
}

impl Engine for Cpu {
    fn load(&mut self, batch: &[f32]) {
        let start = Instant::now();
        self.batch.clear();
        self.batch.extend_from_slice(batch);
        self.centred.clear();
        self.centred.extend_from_slice(batch);
        kernels::subtract_from_rows(&mut self.centred, &self.parameters.b_dec);
        self.gradients.touched.fill(false);
        self.gradients.b_dec.fill(0.0);
        self.direct.fill(0.0);
        self.spent.prepare += start.elapsed().as_secs_f64();
    }

    fn encode(
        &mut self,
        set: Set,
        among: Option<&[u32]>,
        select: Select,
        stop: Stop<'_>,
    ) -> Result<()> {
        if let (Select::TopK(k), None) = (select, among) {
            let (m, d) = (self.parameters.b_enc.len(), self.width());
            if let Some(grain) = self.choice.grain(m, d, k) {
                return self.encode_top(set, k, grain, stop);
            }
        }
        let start = Instant::now();
        let Parameters { encoder, b_enc, .. } = &self.parameters;
        let packed = match among {
            Some(only) => {
                self.packed_part.pack(encoder, b_enc, Some(only));
                &self.packed_part
            }
            None => {
                if self.stale {
                    self.packed.pack(encoder, b_enc, None);
                    self.stale = false;
                }
                &self.packed
            }
        };
        let state = match set {
            Set::Main => &mut self.main,
            Set::Auxiliary => &mut self.auxiliary,
        };
        self.spent.prepare += start.elapsed().as_secs_f64();
        let start = Instant::now();
        let (rows, memory) = (&self.centred, &mut self.encoding);
        state.is_dense = false;
        if select == Select::Positive && among.is_none() {
            // The first rows tell which form is cheaper: at any thread count the same one.
            let sample = &rows[..rows.len().min(SAMPLE * self.parameters.b_dec.len())];
            kernels::encode(sample, packed, None, select, memory, &mut state.latents, stop)?;
            state.is_dense = state.latents.l0() > self.dense_above * b_enc.len() as f64;
        }
        if state.is_dense {
            kernels::encode_dense(rows, packed, &mut state.dense, stop)?;
        } else {
            kernels::encode(rows, packed, among, select, memory, &mut state.latents, stop)?;
        }
        self.spent.encode += start.elapsed().as_secs_f64();
        Ok(())
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
        if matches!(penalty, Penalty::Contribution(_)) {
            self.norms = decoder.row_norms();
        }
        let (state, input, sign, bias) = match (set, target) {
            (Set::Main, Target::Input) => (&mut self.main, &self.batch, 1.0, Some(&b_dec[..])),
            (Set::Auxiliary, Target::Input) => {
                (&mut self.auxiliary, &self.batch, 1.0, Some(&b_dec[..]))
            }
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
                Penalty::None => 0.0,
                Penalty::Activation(p) | Penalty::Contribution(p) => p,
            },
            norms: matches!(penalty, Penalty::Contribution(_)).then_some(&self.norms[..]),
        };
        state.error.resize(self.batch.len(), 0.0);
        let State { latents, dense, error, slope, error_sum, .. } = state;
        let sums = if state.is_dense {
            kernels::reconstruct_dense(dense, decoder, how, error, error_sum, stop)?
        } else {
            slope.resize(latents.len(), 0.0);
            let partial = &mut self.partial;
            kernels::reconstruct(latents, decoder, how, error, slope, partial, error_sum, stop)?
        };
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

    fn input_variance(&self) -> f64 {
        kernels::variance(&self.batch, self.width())
    }

    fn scatter(&mut self, set: Set, stop: Stop<'_>) -> Result<()> {
        let start = Instant::now();
        let state = match set {
            Set::Main => &mut self.main,
            Set::Auxiliary => &mut self.auxiliary,
        };
        let how = Scatter {
            input: &self.centred,
            error: &state.error,
            weight: state.weight,
            shrink: match state.penalty {
                Penalty::Contribution(p) => Some((&self.parameters.decoder, &self.norms[..], p)),
                _ => None,
            },
        };
        if state.is_dense {
            let penalty = match state.penalty {
                Penalty::None => 0.0,
                Penalty::Activation(p) | Penalty::Contribution(p) => p,
            };
            // What is asked of the activations later must be asked before they are used up.
            state.latents.clear();
            state.active = state.dense.par_iter().filter(|f| **f > 0.0).count();
            mark_dense(&state.dense, &mut state.fired);
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
        }
        if state.target == Target::Input {
            let twice = 2.0 * f64::from(state.weight);
            self.direct.iter_mut().zip(&state.error_sum).for_each(|(g, s)| *g += twice * s);
        }
        self.finish_bias();
        self.spent.scatter += start.elapsed().as_secs_f64();
        Ok(())
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
        self.spent.norm += start.elapsed().as_secs_f64();
        norm
    }

    fn update(&mut self, adam: &Adam, unit: bool) {
        let start = Instant::now();
        let Parameters { encoder, b_enc, decoder, b_dec } = &mut self.parameters;
        let [of_encoder, of_b_enc, of_decoder, of_b_dec] = &mut self.optimizer.moments[..] else {
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
        self.stale = true;
        self.coarse_stale = true;
        self.choice.count();
        self.spent.update += start.elapsed().as_secs_f64();
    }

    fn rewrite(&mut self, change: &mut dyn FnMut(&mut Parameters, &mut OptimizerState)) {
        change(&mut self.parameters, &mut self.optimizer);
        self.stale = true;
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

/// Which columns of an `[n, m]` array hold a positive number.
fn mark_dense(activations: &[f32], fired: &mut [bool]) {
    fired.fill(false);
    for row in activations.chunks(fired.len()) {
        fired.iter_mut().zip(row).for_each(|(fired, f)| *fired |= *f > 0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sae::Matrix;

    fn engine(m: usize, d: usize, dense_above: f64) -> Cpu {
        let numbers =
            |n: usize, by: f32| (0..n).map(|i| ((i * i) as f32 * by).sin()).collect::<Vec<_>>();
        let parameters = Parameters {
            encoder: Matrix::new(m, d, numbers(m * d, 0.7)).unwrap(),
            b_enc: numbers(m, 0.1),
            decoder: Matrix::new(m, d, numbers(m * d, 1.3)).unwrap(),
            b_dec: numbers(d, 0.2),
        };
        let optimizer = OptimizerState::new(&parameters);
        Cpu { dense_above, ..Cpu::new(parameters, optimizer) }
    }

    #[test]
    fn dense_and_listed_activations_give_the_same_gradients() {
        for penalty in [Penalty::None, Penalty::Activation(0.02), Penalty::Contribution(0.02)] {
            let (m, d, n) = (530, 12, 300);
            let rows: Vec<f32> = (0..n * d).map(|i| (i as f32 * 0.37).cos() * 2.0).collect();
            let run = |dense_above: f64| {
                let mut engine = engine(m, d, dense_above);
                let go_on = || Ok(());
                engine.load(&rows);
                engine.encode(Set::Main, None, Select::Positive, &go_on).unwrap();
                assert_eq!(engine.main.is_dense, dense_above < 0.5);
                let sums =
                    engine.reconstruct(Set::Main, Target::Input, 0.01, penalty, &go_on).unwrap();
                engine.scatter(Set::Main, &go_on).unwrap();
                let mut fired = vec![false; m];
                engine.mark_fired(Set::Main, &mut fired);
                (sums, engine.active(Set::Main), fired, engine.gradients())
            };
            let (dense, listed) = (run(0.0), run(1.0));
            assert!((dense.0.squares / listed.0.squares - 1.0).abs() < 1e-5);
            assert!((dense.0.activity / listed.0.activity - 1.0).abs() < 1e-5);
            assert_eq!((dense.1, dense.2), (listed.1, listed.2));
            for ((name, a), (_, b)) in dense.3.parts().iter().zip(listed.3.parts()) {
                let largest = b.iter().fold(0.0f32, |m, v| m.max(v.abs()));
                for (a, b) in a.iter().zip(b) {
                    assert!((a - b).abs() <= 2e-5 * largest, "{name}: {a} is not {b}");
                }
            }
        }
    }
}
