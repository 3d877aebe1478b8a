//! The engine on the processor.

use super::Latents;
use super::engine::{Engine, OptimizerState, Parameters, Penalty, Set, Target};
use super::kernels::{
    self, Adam, Columns, Encoding, Gradients, Packed, Reconstruction, Scatter, Select, Slice, Stop,
    Sums,
};
use crate::error::{Error, Result};
use rayon::prelude::*;

/// One set of active latents of the batch, and its error.
#[derive(Debug)]
struct State {
    latents: Latents,
    columns: Columns,
    /// `[n, d]`.
    error: Vec<f32>,
    /// Σ e over the rows.
    error_sum: Vec<f64>,
    squares: f64,
    /// Gradient of the loss by each activation, in the order of the latents' entries.
    slope: Vec<f32>,
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
    batch: Vec<f32>,
    centred: Vec<f32>,
    main: State,
    auxiliary: State,
    norms: Vec<f32>,
    partial: Vec<f64>,
    pull: Vec<f64>,
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
            batch: Vec::new(),
            centred: Vec::new(),
            main: State::new(m, d),
            auxiliary: State::new(m, d),
            norms: Vec::new(),
            partial: Vec::new(),
            pull: vec![0.0; d],
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
            columns: Columns::default(),
            error: Vec::new(),
            error_sum: vec![0.0; d],
            squares: 0.0,
            slope: Vec::new(),
            weight: 0.0,
            penalty: Penalty::None,
            target: Target::Input,
        }
    }
}

impl Engine for Cpu {
    fn load(&mut self, batch: &[f32]) {
        self.batch.clear();
        self.batch.extend_from_slice(batch);
        self.centred.clear();
        self.centred.extend_from_slice(batch);
        kernels::subtract_from_rows(&mut self.centred, &self.parameters.b_dec);
        self.gradients.touched.fill(false);
        self.gradients.b_dec.fill(0.0);
        self.direct.fill(0.0);
    }

    fn encode(
        &mut self,
        set: Set,
        among: Option<&[u32]>,
        select: Select,
        stop: Stop<'_>,
    ) -> Result<()> {
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
        let out = match set {
            Set::Main => &mut self.main.latents,
            Set::Auxiliary => &mut self.auxiliary.latents,
        };
        kernels::encode(&self.centred, packed, among, select, &mut self.encoding, out, stop)
    }

    fn reconstruct(
        &mut self,
        set: Set,
        target: Target,
        weight: f32,
        penalty: Penalty,
        stop: Stop<'_>,
    ) -> Result<Sums> {
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
        state.slope.resize(state.latents.len(), 0.0);
        let sums = kernels::reconstruct(
            &state.latents,
            decoder,
            how,
            &mut state.error,
            &mut state.slope,
            &mut self.partial,
            &mut state.error_sum,
            stop,
        )?;
        (state.weight, state.penalty, state.target) = (weight, penalty, target);
        state.squares = sums.squares;
        Ok(sums)
    }

    fn error_variance(&self, set: Set) -> f64 {
        let state = self.state(set);
        let rows = state.latents.rows().max(1) as f64;
        let of_mean: f64 = state.error_sum.iter().map(|s| s * s).sum::<f64>() / rows;
        (state.squares - of_mean).max(0.0)
    }

    fn input_variance(&self) -> f64 {
        kernels::variance(&self.batch, self.width())
    }

    fn scatter(&mut self, set: Set, stop: Stop<'_>) -> Result<()> {
        let state = match set {
            Set::Main => &mut self.main,
            Set::Auxiliary => &mut self.auxiliary,
        };
        state.columns.sort(&state.latents, &state.slope);
        let how = Scatter {
            input: &self.centred,
            error: &state.error,
            weight: state.weight,
            shrink: match state.penalty {
                Penalty::Contribution(p) => Some((&self.parameters.decoder, &self.norms[..], p)),
                _ => None,
            },
        };
        kernels::scatter(&state.columns, how, &mut self.gradients, stop)?;
        if state.target == Target::Input {
            let twice = 2.0 * f64::from(state.weight);
            self.direct.iter_mut().zip(&state.error_sum).for_each(|(g, s)| *g += twice * s);
        }
        self.finish_bias();
        Ok(())
    }

    fn active(&self, set: Set) -> usize {
        self.state(set).latents.len()
    }

    fn mark_fired(&self, set: Set, fired: &mut [bool]) {
        self.state(set).latents.index.iter().for_each(|i| fired[*i as usize] = true);
    }

    fn gradient_norm(&mut self, unit: bool) -> f64 {
        let decoder = unit.then_some(&self.parameters.decoder);
        kernels::gradient_norm(&self.gradients, decoder, &mut self.partial)
    }

    fn update(&mut self, adam: &Adam, unit: bool) {
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

    fn latents(&self, set: Set) -> &Latents {
        &self.state(set).latents
    }
}
