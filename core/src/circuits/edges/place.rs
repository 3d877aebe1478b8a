//! The kept nodes of one site in one batch: how they change, and what pulls on them.

use super::super::effects::{Batch, Setup, errors, read};
use super::super::{Node, Unit};
use crate::error::Result;
use crate::llama::Site;
use crate::sae::{Architecture, Latents, Sae, kernels};
use std::collections::HashMap;

/// The kept nodes of a site.
#[derive(Debug, Default)]
pub(in crate::circuits) struct Kept {
    /// Places in the circuit, ascending.
    pub places: Vec<usize>,
    /// Which of `places` a unit is, at a position or at all.
    by_unit: HashMap<(Option<u32>, Unit), usize>,
    /// Whether some stand at no position of their own.
    summed: bool,
}

impl Kept {
    pub(super) fn add(&mut self, place: usize, node: &Node) {
        self.by_unit.insert((node.position, node.unit), self.places.len());
        self.places.push(place);
        self.summed |= node.position.is_none();
    }

    /// The node that a unit at an absolute position belongs to.
    fn at(&self, position: u32, unit: Unit) -> Option<usize> {
        let find = |position| self.by_unit.get(&(position, unit)).copied();
        let summed = self.summed.then(|| find(None)).flatten();
        summed.or_else(|| find(Some(position)))
    }

    fn has_error(&self) -> bool {
        self.by_unit.keys().any(|(_, unit)| *unit == Unit::Error)
    }
}

/// What pulls on a kept node in one row: the gradient at the site of what the node there
/// contributes to F.
pub(super) struct Pull {
    /// Row of the batch.
    pub row: usize,
    /// Which kept node of the site.
    pub node: usize,
    /// `[width]`.
    pub gradient: Vec<f32>,
}

/// The kept nodes of a site in a batch.
pub(super) struct Place<'a> {
    batch: &'a Batch,
    width: usize,
    sae: Option<&'a Sae>,
    /// Nodes whose changes are looked at.
    from: &'a Kept,
    /// Nodes that are pulled on.
    to: &'a Kept,
    /// Rows that matter, ascending.
    rows: Vec<usize>,
    clean: Latents,
    /// For each row of the batch, the kept units that change there, by how much, and whose they
    /// are.
    moves: Vec<Vec<(u32, f32, usize)>>,
    /// Whose the error of each row is.
    error_of: Vec<Option<usize>>,
    /// By how much it changes, `[rows of the batch, width]`.
    errors: Option<Vec<f32>>,
}

impl<'a> Place<'a> {
    pub(super) fn new(
        setup: &Setup<'a>,
        batch: &'a Batch,
        site: Site,
        from: &'a Kept,
        to: &'a Kept,
    ) -> Result<Self> {
        let all = batch.pairs() * batch.positions;
        let rows: Vec<usize> = (0..all).filter(|row| batch.matters(*row)).collect();
        let reading = read(setup, batch, site, &rows)?;
        let sae = setup.bases.sae(site).map(AsRef::as_ref);
        let errors = match sae.is_some() && from.has_error() {
            false => None,
            true => {
                let (clean, changed) = (batch.clean(site)?, batch.changed(setup, site)?);
                errors(setup, site, &reading.moves, &rows, &clean, &changed)
            }
        };
        let mut moves = vec![Vec::new(); all];
        let mut error_of = vec![None; all];
        for (at, row) in rows.iter().enumerate() {
            let position = (batch.first + row % batch.positions) as u32;
            let (index, value) = reading.moves.row(at);
            for (latent, by) in index.iter().zip(value) {
                if let Some(node) = from.at(position, Unit::Latent(*latent)) {
                    moves[*row].push((*latent, *by, node));
                }
            }
            error_of[*row] = from.at(position, Unit::Error);
        }
        Ok(Self {
            batch,
            width: setup.model.config().width,
            sae,
            from,
            to,
            rows,
            clean: reading.clean,
            moves,
            error_of,
            errors,
        })
    }

    /// Number of nodes whose changes are looked at.
    pub(super) fn changing(&self) -> usize {
        self.from.places.len()
    }

    /// Number of nodes that are pulled on.
    pub(super) fn pulled(&self) -> usize {
        self.to.places.len()
    }

    /// What pulls on the kept nodes where the gradient of F at the site is `gradient`: the
    /// dictionary is differentiated through its encoder. For latent i that is ⟨g, d_i⟩ ∂f_i/∂x, for
    /// the error g − Σ ⟨g, d_j⟩ ∂f_j/∂x over all active latents.
    pub(super) fn pulls(&self, gradient: &[f32]) -> Vec<Pull> {
        let mut out = Vec::new();
        let Some(sae) = self.sae else {
            for row in &self.rows {
                let position = (self.batch.first + row % self.batch.positions) as u32;
                for (i, g) in gradient[row * self.width..][..self.width].iter().enumerate() {
                    if let Some(node) = self.to.at(position, Unit::Latent(i as u32))
                        && *g != 0.0
                    {
                        let mut own = vec![0.0; self.width];
                        own[i] = *g;
                        out.push(Pull { row: *row, node, gradient: own });
                    }
                }
            }
            return out;
        };
        let at: Vec<f32> = self
            .rows
            .iter()
            .flat_map(|r| &gradient[r * self.width..][..self.width])
            .copied()
            .collect();
        let mut left = vec![0.0; self.clean.len()];
        kernels::slopes(&self.clean, &sae.decoder, &at, 1.0, &mut left);
        // ⟨g, d_i⟩ times what the encoder's own row is multiplied by.
        for (left, latent) in left.iter_mut().zip(&self.clean.index) {
            *left *= slope(sae, *latent as usize);
        }
        for (i, row) in self.rows.iter().enumerate() {
            let g = &at[i * self.width..][..self.width];
            if g.iter().all(|g| *g == 0.0) {
                continue;
            }
            let position = (self.batch.first + row % self.batch.positions) as u32;
            let entries = self.clean.row_start[i]..self.clean.row_start[i + 1];
            for entry in entries.clone() {
                let latent = self.clean.index[entry];
                if let Some(node) = self.to.at(position, Unit::Latent(latent)) {
                    let reads = sae.encoder.row(latent as usize).iter();
                    let gradient = reads.map(|w| left[entry] * w).collect();
                    out.push(Pull { row: *row, node, gradient });
                }
            }
            if let Some(node) = self.to.at(position, Unit::Error) {
                let mut gradient = g.to_vec();
                for entry in entries {
                    let reads = sae.encoder.row(self.clean.index[entry] as usize);
                    gradient.iter_mut().zip(reads).for_each(|(g, w)| *g -= left[entry] * w);
                }
                out.push(Pull { row: *row, node, gradient });
            }
        }
        out
    }

    /// What the changes of the kept nodes here come to along gradients: for each `rows[i]` of the
    /// batch with the gradient `gradients[i]` there, `take(i, node, F(clean) − F(changed))`.
    pub(super) fn along(
        &self,
        rows: &[usize],
        gradients: &[f32],
        mut take: impl FnMut(usize, usize, f64),
    ) {
        let slopes = self.sae.map(|sae| {
            let mut picked = Latents::new(sae.latents());
            for row in rows {
                picked.push_row(self.moves[*row].iter().map(|(latent, by, _)| (*latent, *by)));
            }
            let mut slopes = vec![0.0; picked.len()];
            kernels::slopes(&picked, &sae.decoder, gradients, 1.0, &mut slopes);
            slopes
        });
        let mut entry = 0;
        for (i, row) in rows.iter().enumerate() {
            let g = &gradients[i * self.width..][..self.width];
            for (latent, by, node) in &self.moves[*row] {
                let slope = slopes.as_ref().map_or_else(|| g[*latent as usize], |s| s[entry]);
                entry += 1;
                take(i, *node, -f64::from(*by) * f64::from(slope));
            }
            if let (Some(node), Some(errors)) = (self.error_of[*row], &self.errors) {
                let error = &errors[row * self.width..][..self.width];
                let sum: f64 =
                    g.iter().zip(error).map(|(g, e)| f64::from(*g) * f64::from(*e)).sum();
                take(i, node, -sum);
            }
        }
    }
}

/// ∂f_i/∂x of an active latent is so many times its encoder row.
fn slope(sae: &Sae, latent: usize) -> f32 {
    match sae.architecture {
        Architecture::Gated => sae.extra.r_mag.get(latent).map_or(1.0, |r| r.exp()),
        _ => 1.0,
    }
}
