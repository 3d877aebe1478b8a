//! What becomes of all the nodes of a site at once: at each position some stay as they are, live,
//! the others take given values; single ones are then changed further.

use super::bound::within_bounds;
use super::compile::{fits, like};
use super::rows::along;
use crate::activations::numbers;
use crate::error::{Error, Result};
use crate::llama::Change;
use crate::sae::{Latents, Sae};
use candle_core::Tensor;
use rayon::prelude::*;
use std::sync::Arc;

/// Rows that a thread works on at once.
const BLOCK: usize = 16;

/// Values that nodes of a site can be put to: those of its latents f̄ and of its error ε̄, or, where
/// the coordinates are the nodes, those of the site itself.
#[derive(Debug, Clone)]
pub struct Values {
    /// f̄, a row a place; no entries where the coordinates are the nodes.
    pub latents: Latents,
    /// ε̄ (or x̄), `[places, width]`.
    pub rest: Vec<f32>,
    /// Positions of a text where every text of the batch has values of its own: then there is a
    /// place for each text and position. `None` where a position means the same in all texts.
    pub per_text: Option<usize>,
}

impl Values {
    fn place(&self, text: usize, position: usize) -> usize {
        self.per_text.map_or(position, |positions| text * positions + position)
    }

    fn places(&self) -> usize {
        self.latents.rows()
    }
}

/// Which nodes of a site stay at a position.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stay {
    /// Latents, in ascending order.
    pub listed: Vec<u32>,
    /// Whether the listed ones stay, or all others do.
    pub only: bool,
    /// Whether the error stays. Means nothing where the coordinates are the nodes.
    pub error: bool,
}

impl Stay {
    fn stays(&self, latent: u32) -> bool {
        (self.listed.binary_search(&latent).is_ok()) == self.only
    }

    /// Every node stays.
    fn whole(&self, has_error: bool) -> bool {
        !self.only && self.listed.is_empty() && (self.error || !has_error)
    }

    /// No node stays.
    fn none(&self, has_error: bool) -> bool {
        self.only && self.listed.is_empty() && !(self.error && has_error)
    }
}

/// What a node's value is changed to.
#[derive(Debug, Clone)]
pub enum To {
    /// v.
    Value(f32),
    /// s times what it is; for an error the whole vector.
    Times(f32),
    /// So much more than it is.
    Plus(f32),
    /// What it has there.
    Of(Arc<Values>),
}

/// What is done to nodes at a position, one after another; `None` is the error.
pub type Further = Vec<(Option<u32>, To)>;

/// A site's dictionary, values for the nodes that do not stay, and which do at each position.
///
/// With f from encoding the live x and ε = x − x̂, x becomes `b + Σ f' d + ε'`, where f' and ε' are
/// what they are for nodes that stay and f̄ and ε̄ for the others. A position where every node stays
/// and nothing further is done keeps its bits, and one where none stays is not encoded.
#[derive(Debug)]
pub struct NodeEdits {
    sae: Option<Arc<Sae>>,
    width: usize,
    values: Arc<Values>,
    stay: Vec<Stay>,
    further: Vec<Further>,
    /// For each place the part of x' that does not depend on x.
    fixed: Vec<f32>,
}

impl NodeEdits {
    /// `stay` and `further` have an entry a position of the text; positions beyond them are left
    /// alone. Without a dictionary the coordinates of the site, `width` wide, are the nodes.
    ///
    /// # Errors
    /// Values of another shape than the dictionary's or the site's, or for too few positions.
    pub fn new(
        sae: Option<Arc<Sae>>,
        width: usize,
        values: Arc<Values>,
        stay: Vec<Stay>,
        further: Vec<Further>,
    ) -> Result<Self> {
        let positions = stay.len();
        let due = values.per_text.unwrap_or(positions);
        let fits = values.rest.len() == values.places() * width
            && due >= positions
            && values.places() >= due
            && values.places().is_multiple_of(due.max(1))
            && further.len() == positions;
        if !fits {
            return Err(Error::internal(
                "The nodes of a site cannot be changed",
                format!("{} values do not fit {positions} positions", values.places()),
            ));
        }
        let mut out = Self { sae, width, values, stay, further, fixed: Vec::new() };
        out.fixed = out.fixed_parts();
        Ok(out)
    }

    /// Whether nothing is changed at any position.
    pub fn is_empty(&self) -> bool {
        (0..self.stay.len()).all(|position| self.untouched(position))
    }

    fn untouched(&self, position: usize) -> bool {
        match self.stay.get(position) {
            Some(stay) => stay.whole(self.sae.is_some()) && self.further[position].is_empty(),
            None => true,
        }
    }

    fn needs_latents(&self, position: usize) -> bool {
        let untouched = self.untouched(position);
        let nothing_live = self.stay.get(position).is_some_and(|stay| {
            // What is done further may start from what nothing live goes into.
            stay.none(self.sae.is_some())
        });
        self.sae.is_some() && !untouched && !nothing_live
    }

    /// With the error put away `b + ε̄ + Σ f̄ d` over the latents that do not stay; with it kept
    /// only the last.
    fn fixed_parts(&self) -> Vec<f32> {
        let Some(sae) = &self.sae else { return Vec::new() };
        let mut fixed = vec![0f32; self.values.places() * self.width];
        let period = self.values.per_text.unwrap_or(self.stay.len()).max(1);
        for (place, out) in fixed.chunks_exact_mut(self.width).enumerate() {
            let Some(stay) = self.stay.get(place % period) else { continue };
            if !stay.error {
                let rest = &self.values.rest[place * self.width..][..self.width];
                out.iter_mut().zip(&sae.b_dec).zip(rest).for_each(|((o, b), e)| *o = b + e);
            }
            let (index, value) = self.values.latents.row(place);
            for (&latent, &f) in index.iter().zip(value) {
                if !stay.stays(latent) {
                    along(out, f, sae.direction(latent as usize));
                }
            }
        }
        fixed
    }

    /// The row x of a text at a position of it; `active` are its latents.
    fn row(&self, x: &mut [f32], text: usize, position: usize, active: (&[u32], &[f32])) {
        let place = self.values.place(text, position);
        let stay = &self.stay[position];
        let Some(sae) = &self.sae else {
            return self.coordinates(x, place, text, position);
        };
        let further = &self.further[position];
        // What is done to the error needs it as it was.
        let old = further.iter().any(|(node, _)| node.is_none()).then(|| {
            if !stay.error {
                return self.values.rest[place * self.width..][..self.width].to_vec();
            }
            let mut error: Vec<f32> = x.iter().zip(&sae.b_dec).map(|(x, b)| x - b).collect();
            for (&latent, &f) in active.0.iter().zip(active.1) {
                along(&mut error, -f, sae.direction(latent as usize));
            }
            error
        });
        if !stay.whole(true) {
            let fixed = &self.fixed[place * self.width..][..self.width];
            if stay.error {
                x.iter_mut().zip(fixed).for_each(|(x, fixed)| *x += fixed);
                for (&latent, &f) in active.0.iter().zip(active.1) {
                    if !stay.stays(latent) {
                        along(x, -f, sae.direction(latent as usize));
                    }
                }
            } else {
                x.copy_from_slice(fixed);
                for (&latent, &f) in active.0.iter().zip(active.1) {
                    if stay.stays(latent) {
                        along(x, f, sae.direction(latent as usize));
                    }
                }
            }
        }
        self.do_further(sae, x, text, position, active, old);
    }

    fn do_further(
        &self,
        sae: &Sae,
        x: &mut [f32],
        text: usize,
        position: usize,
        active: (&[u32], &[f32]),
        mut error: Option<Vec<f32>>,
    ) {
        let place = self.values.place(text, position);
        let stay = &self.stay[position];
        // Each latent once, with what it is and what it becomes.
        let mut moved: Vec<(u32, f32, f32)> = Vec::new();
        for (node, to) in &self.further[position] {
            let Some(latent) = *node else {
                if let Some(old) = &mut error {
                    for (i, (x, old)) in x.iter_mut().zip(old).enumerate() {
                        let new = match to {
                            To::Value(v) => *v,
                            To::Times(s) => *old * s,
                            To::Plus(v) => *old + v,
                            To::Of(values) => {
                                values.rest[values.place(text, position) * self.width + i]
                            }
                        };
                        *x += new - *old;
                        *old = new;
                    }
                }
                continue;
            };
            let at = moved.iter().position(|(known, ..)| *known == latent).unwrap_or_else(|| {
                let f = if stay.stays(latent) {
                    active.0.binary_search(&latent).map_or(0.0, |at| active.1[at])
                } else {
                    self.values.latents.get(place, latent)
                };
                moved.push((latent, f, f));
                moved.len() - 1
            });
            let now = &mut moved[at].2;
            *now = match to {
                To::Value(v) => *v,
                To::Times(s) => *now * s,
                To::Plus(v) => *now + v,
                To::Of(values) => values.latents.get(values.place(text, position), latent),
            };
        }
        for (latent, from, to) in moved {
            if from != to {
                along(x, to - from, sae.direction(latent as usize));
            }
        }
    }

    fn coordinates(&self, x: &mut [f32], place: usize, text: usize, position: usize) {
        let stay = &self.stay[position];
        let rest = &self.values.rest[place * self.width..][..self.width];
        if !stay.whole(false) {
            for (i, (x, rest)) in x.iter_mut().zip(rest).enumerate() {
                if !stay.stays(i as u32) {
                    *x = *rest;
                }
            }
        }
        for (node, to) in &self.further[position] {
            let Some(i) = node.map(|i| i as usize) else { continue };
            x[i] = match to {
                To::Value(v) => *v,
                To::Times(s) => x[i] * s,
                To::Plus(v) => x[i] + v,
                To::Of(values) => values.rest[values.place(text, position) * self.width + i],
            };
        }
    }
}

impl Change for NodeEdits {
    fn apply(&self, x: &Tensor, first: usize) -> Result<Tensor> {
        let (texts, positions, width) = x.dims3()?;
        match &self.sae {
            Some(sae) => fits(sae, width)?,
            None if width == self.width => {}
            None => {
                return Err(Error::internal(
                    "The nodes of a site cannot be changed",
                    format!("it is {width} wide and the values {}", self.width),
                ));
            }
        }
        if (0..positions).all(|p| self.untouched(first + p)) {
            return Ok(x.clone());
        }
        if let Some(period) = self.values.per_text
            && self.values.places() < texts * period
        {
            return Err(Error::internal(
                "The nodes of a site cannot be changed",
                format!("{} values for {texts} texts", self.values.places()),
            ));
        }
        let mut values = numbers(x)?;
        // Rows to encode, and for each row where it stands among them.
        let mut rows = Vec::new();
        let mut at = vec![usize::MAX; texts * positions];
        let mut count = 0;
        for (row, at) in at.iter_mut().enumerate() {
            if self.needs_latents(first + row % positions) {
                rows.extend_from_slice(&values[row * width..][..width]);
                *at = count;
                count += 1;
            }
        }
        let latents = match &self.sae {
            Some(sae) if count > 0 => sae.encode(&rows)?,
            Some(sae) => Latents::new(sae.latents()),
            None => Latents::new(0),
        };
        values.par_chunks_mut(width * BLOCK).enumerate().for_each(|(block, chunk)| {
            for (i, x) in chunk.chunks_exact_mut(width).enumerate() {
                let row = block * BLOCK + i;
                let (text, position) = (row / positions, first + row % positions);
                if self.untouched(position) {
                    continue;
                }
                let active: (&[u32], &[f32]) =
                    if at[row] == usize::MAX { (&[], &[]) } else { latents.row(at[row]) };
                self.row(x, text, position, active);
            }
        });
        within_bounds(&values)?;
        like(x, values)
    }
}
