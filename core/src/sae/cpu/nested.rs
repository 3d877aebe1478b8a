//! Matryoshka: one reconstruction inside the other.

use super::super::Latents;
use super::super::kernels::{self, Columns, Scatter, Stop};
use super::{Cpu, Wiring, add_outer};
use crate::error::Result;
use rayon::prelude::*;
use std::time::Instant;

impl Cpu {
    /// See [`crate::sae::engine::Engine::nested`].
    pub(super) fn reconstruct_nested(
        &mut self,
        ends: &[usize],
        weights: &[f32],
        stop: Stop<'_>,
    ) -> Result<Vec<f64>> {
        let start = Instant::now();
        let decoder = &self.parameters.decoder;
        let d = decoder.cols();
        let mut error: Vec<f32> = self.wanted().iter().map(|y| -y).collect();
        error.par_chunks_mut(d).for_each(|row| {
            row.iter_mut().zip(&self.parameters.b_dec).for_each(|(e, b)| *e += b);
        });
        let groups = groups(&self.main.latents, ends);
        let (mut errors, mut squares) = (Vec::with_capacity(ends.len()), Vec::new());
        for group in &groups {
            stop()?;
            kernels::add_decoded(group, decoder, &mut error);
            squares.push(sum_of_squares(&error));
            errors.push(error.clone());
        }
        // What a group answers for: the errors of all reconstructions that it is part of.
        let mut answer = vec![0.0f32; error.len()];
        for (own, weight) in errors.iter_mut().zip(weights).rev() {
            answer.par_iter_mut().zip(own).for_each(|(all, e)| {
                *all += weight * *e;
                *e = *all;
            });
        }
        self.main.squares = squares.last().copied().unwrap_or_default();
        self.main.error_sum = column_sums(&error, d);
        self.main.error = error;
        self.spent.reconstruct += start.elapsed().as_secs_f64();
        let start = Instant::now();
        let (mut columns, mut slope) = (Columns::default(), Vec::new());
        let seen = if self.wiring == Wiring::Centred { &self.centred } else { &self.batch };
        for (group, answer) in groups.iter().zip(&errors) {
            slope.resize(group.len(), 0.0);
            kernels::slopes(group, decoder, answer, 2.0, &mut slope);
            columns.sort(group, &slope);
            let how = Scatter { input: seen, error: answer, weight: 1.0, shrink: None };
            kernels::scatter(&columns, how, &mut self.gradients, stop)?;
        }
        if let Some(answer) = errors.first() {
            let sums = column_sums(answer, d);
            self.direct.iter_mut().zip(sums).for_each(|(g, s)| *g += 2.0 * s);
            add_outer(&mut self.extra, answer, &self.batch, 2.0);
        }
        self.finish_bias();
        self.nested_squares.clone_from(&squares);
        self.spent.scatter += start.elapsed().as_secs_f64();
        Ok(squares)
    }
}

/// The latents cut into those before the first end, those from there to the second, and so on.
fn groups(latents: &Latents, ends: &[usize]) -> Vec<Latents> {
    let mut from = 0;
    let mut cut = |end: usize| {
        let mut group = Latents::new(latents.width);
        for r in 0..latents.rows() {
            let (index, value) = latents.row(r);
            let (low, high) = (
                index.partition_point(|i| (*i as usize) < from),
                index.partition_point(|i| (*i as usize) < end),
            );
            group.push_row((low..high).map(|at| (index[at], value[at])));
        }
        from = end;
        group
    };
    ends.iter().map(|end| cut(*end)).collect()
}

/// Numbers of a block of a sum.
const BLOCK: usize = 1 << 14;

fn sum_of_squares(values: &[f32]) -> f64 {
    let of = |block: &[f32]| block.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>();
    values.par_chunks(BLOCK).map(of).collect::<Vec<_>>().iter().sum()
}

fn column_sums(values: &[f32], d: usize) -> Vec<f64> {
    let blocks: Vec<Vec<f64>> = values
        .par_chunks(64 * d)
        .map(|block| {
            let mut sums = vec![0.0; d];
            for row in block.chunks(d) {
                sums.iter_mut().zip(row).for_each(|(s, v)| *s += f64::from(*v));
            }
            sums
        })
        .collect();
    let mut sums = vec![0.0; d];
    blocks.iter().for_each(|block| sums.iter_mut().zip(block).for_each(|(s, b)| *s += b));
    sums
}
