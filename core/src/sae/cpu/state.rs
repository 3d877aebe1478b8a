//! One set of active latents of the batch, and its error.

use super::super::Latents;
use super::super::engine::{Penalty, Target};
use super::super::kernels::Columns;
use rayon::prelude::*;

/// One set of active latents of the batch, and its error.
#[derive(Debug)]
pub(super) struct State {
    pub latents: Latents,
    /// Every activation, `[n, m]`, in place of `latents` where many are active.
    pub dense: Vec<f32>,
    pub is_dense: bool,
    pub columns: Columns,
    /// `[n, d]`.
    pub error: Vec<f32>,
    /// Σ e over the rows.
    pub error_sum: Vec<f64>,
    pub squares: f64,
    /// Gradient of the loss by each activation, in the order of the latents' entries.
    pub slope: Vec<f32>,
    /// Gradient of the penalty by the norm of each entry's direction; empty for most.
    pub pull: Vec<f32>,
    /// Of a dense set: number of active latents, and which are active in some row.
    pub active: usize,
    pub fired: Vec<bool>,
    /// Least activation, and mean of the rows' least ones, by which latents were chosen, where
    /// that was by norm.
    pub least_by_norm: Option<(Option<f64>, Option<f64>)>,
    pub weight: f32,
    pub penalty: Penalty,
    pub target: Target,
}

impl State {
    pub(super) fn new(m: usize, d: usize) -> Self {
        Self {
            latents: Latents::new(m),
            dense: Vec::new(),
            is_dense: false,
            columns: Columns::default(),
            error: Vec::new(),
            error_sum: vec![0.0; d],
            squares: 0.0,
            slope: Vec::new(),
            pull: Vec::new(),
            active: 0,
            fired: vec![false; m],
            least_by_norm: None,
            weight: 0.0,
            penalty: Penalty::None,
            target: Target::Input,
        }
    }

    /// Notes how many latents of a dense set are active, and which.
    pub(super) fn count_dense(&mut self) {
        self.latents.clear();
        self.active = self.dense.par_iter().filter(|f| **f > 0.0).count();
        self.fired.fill(false);
        for row in self.dense.chunks(self.fired.len()) {
            self.fired.iter_mut().zip(row).for_each(|(fired, f)| *fired |= *f > 0.0);
        }
    }

    /// The least activation.
    pub(super) fn least(&self) -> Option<f64> {
        if let Some((least, _)) = self.least_by_norm {
            return least;
        }
        self.latents.value.iter().copied().reduce(f32::min).map(f64::from)
    }

    /// The mean over rows of each row's least activation.
    pub(super) fn mean_least(&self) -> Option<f64> {
        if let Some((_, mean)) = self.least_by_norm {
            return mean;
        }
        let (mut sum, mut rows) = (0.0, 0u32);
        for r in 0..self.latents.rows() {
            if let Some(least) = self.latents.row(r).1.iter().copied().reduce(f32::min) {
                sum += f64::from(least);
                rows += 1;
            }
        }
        (rows > 0).then(|| sum / f64::from(rows))
    }
}
