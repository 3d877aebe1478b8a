//! Edits as changes of a forward pass.

use super::bound::within_bounds;
use super::rows::edit_row;
use super::{Edit, Op, Positions};
use crate::activations::numbers;
use crate::error::{Error, Result};
use crate::llama::{Change, Site};
use crate::sae::kernels::Packed;
use crate::sae::{Latents, Sae, Wiring};
use candle_core::Tensor;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

/// The dictionary at each site that has one.
pub type Dictionaries = BTreeMap<Site, Arc<Sae>>;

/// Edits ready to run: for each site its dictionary and what to do there.
///
/// At each edited position x becomes `x + Σ (f' − f) · d`, with f from encoding the live x once
/// for all latents of the site (f is not asked for where f' − f does not depend on it, as where
/// every edit of a latent adds). Several edits of one latent apply one after another. A position
/// where no activation changes keeps its bits.
#[derive(Debug, Clone, Default)]
pub struct Edits {
    sites: Vec<(Site, SiteEdits)>,
}

#[derive(Debug, Clone)]
struct SiteEdits {
    sae: Arc<Sae>,
    edits: Vec<Edit>,
    eye: Arc<OnceLock<Eye>>,
}

/// What finds the activations that the edits of a site depend on, made at their first use.
#[derive(Debug)]
struct Eye {
    /// The dictionary, or what of it is enough.
    sae: Arc<Sae>,
    packed: Packed,
    /// The latents that are looked at, if that is not all of them.
    only: Option<Vec<u32>>,
}

impl Eye {
    fn new(sae: &Arc<Sae>, edits: &[Edit]) -> Self {
        // What is added to an activation is added whatever that is.
        let mut looked_at: Vec<u32> =
            edits.iter().filter(|e| !matches!(e.op, Op::Add(_))).map(|e| e.latent).collect();
        looked_at.sort_unstable();
        looked_at.dedup();
        let part = if looked_at.is_empty() { None } else { sae.part(&looked_at) };
        match part {
            Some(part) => {
                let packed = part.packed();
                Self { sae: Arc::new(part), packed, only: Some(looked_at) }
            }
            None if looked_at.is_empty() => {
                Self { sae: sae.clone(), packed: Packed::new(), only: Some(looked_at) }
            }
            None => Self { sae: sae.clone(), packed: sae.packed(), only: None },
        }
    }

    /// Active latents of each row, numbered as here.
    fn see(&self, rows: &[f32]) -> Result<Latents> {
        match &self.only {
            Some(none) if none.is_empty() => {
                let mut silent = Latents::new(0);
                silent.row_start.resize(rows.len() / self.sae.width().max(1) + 1, 0);
                Ok(silent)
            }
            _ => self.sae.encode_by(&self.packed, rows),
        }
    }

    /// The activation of a latent of the dictionary in row `i`; 0 of one that is not looked at.
    fn active(&self, seen: &Latents, i: usize, latent: u32) -> f32 {
        match &self.only {
            None => seen.get(i, latent),
            Some(only) => match only.binary_search(&latent) {
                Ok(at) => seen.get(i, at as u32),
                Err(_) => 0.0,
            },
        }
    }
}

impl Edits {
    /// `edits` with the dictionaries they speak of.
    ///
    /// # Errors
    /// A site without a dictionary; a latent that its dictionary does not have; a strength that is
    /// no number; [`Positions::Generated`] of no known prompt.
    pub fn new(edits: &[Edit], dictionaries: &Dictionaries) -> Result<Self> {
        let mut sites: BTreeMap<Site, SiteEdits> = BTreeMap::new();
        for edit in edits {
            if edit.positions == Positions::Generated {
                return Err(Error::setting(
                    format!("The edit {edit} cannot be made here"),
                    "no text is written here, so that no token is a generated one",
                    "Give it other positions: all, or a range",
                ));
            }
            if let Op::Set(v) | Op::Add(v) | Op::Scale(v) = edit.op
                && !v.is_finite()
            {
                return Err(Error::setting(
                    format!("The edit {edit} cannot be made"),
                    format!("{v} is no strength"),
                    "Choose a finite number",
                ));
            }
            let sae = dictionaries.get(&edit.site).ok_or_else(|| {
                Error::setting(
                    format!("The edit {edit} cannot be made"),
                    format!("there is no dictionary for {}", edit.site),
                    "Load one that was trained at this site",
                )
            })?;
            if edit.latent as usize >= sae.latents() {
                return Err(Error::setting(
                    format!("The edit {edit} cannot be made"),
                    format!("the dictionary has latents 0 to {}", sae.latents().saturating_sub(1)),
                    "Choose one of these",
                ));
            }
            sites
                .entry(edit.site)
                .or_insert_with(|| SiteEdits {
                    sae: sae.clone(),
                    edits: Vec::new(),
                    eye: Arc::default(),
                })
                .edits
                .push(edit.clone());
        }
        Ok(Self { sites: sites.into_iter().collect() })
    }

    /// Whether nothing is edited.
    pub fn is_empty(&self) -> bool {
        self.sites.is_empty()
    }

    /// The changes for [`crate::llama::Plan::change`].
    pub fn changes(&self) -> Vec<(Site, &dyn Change)> {
        self.sites.iter().map(|(site, edits)| (*site, edits as &dyn Change)).collect()
    }
}

impl Change for SiteEdits {
    fn apply(&self, x: &Tensor, first: usize) -> Result<Tensor> {
        let (batch, positions, width) = x.dims3()?;
        fits(&self.sae, width)?;
        // Positions, in this tensor, where anything is to be done.
        let places: Vec<usize> = (0..positions)
            .filter(|p| self.edits.iter().any(|e| e.positions.contains(first + p)))
            .collect();
        if places.is_empty() {
            return Ok(x.clone());
        }
        let mut values = numbers(x)?;
        let at: Vec<(usize, usize)> = (0..batch)
            .flat_map(|b| places.iter().map(move |p| (b * positions + p, first + p)))
            .collect();
        let rows: Vec<f32> =
            at.iter().flat_map(|(row, _)| values[row * width..][..width].to_vec()).collect();
        let eye = self.eye.get_or_init(|| Eye::new(&self.sae, &self.edits));
        let seen = eye.see(&rows)?;
        let mut changed = false;
        for (i, (row, position)) in at.iter().enumerate() {
            let here = self.edits.iter().filter(|e| e.positions.contains(*position));
            let ops = here.map(|e| (e.latent, e.op));
            let x = &mut values[row * width..][..width];
            if edit_row(&self.sae, |latent| eye.active(&seen, i, latent), ops, x) {
                changed = true;
                within_bounds(x)?;
            }
        }
        // What did not change keeps its very tensor.
        if changed { like(x, values) } else { Ok(x.clone()) }
    }
}

/// `values` as a tensor of the shape, type and device of `x`.
pub(super) fn like(x: &Tensor, values: Vec<f32>) -> Result<Tensor> {
    Ok(Tensor::from_vec(values, x.dims(), x.device())?.to_dtype(x.dtype())?)
}

/// Refuses activations of another width than the dictionary's.
pub(super) fn fits(sae: &Sae, width: usize) -> Result<()> {
    if matches!(sae.wiring, Wiring::Transcoder { .. }) {
        return Err(Error::setting(
            "A transcoder cannot edit the site that it reads",
            "its directions belong to another site",
            "Choose a dictionary of the site that is to be edited",
        ));
    }
    if sae.width() == width {
        return Ok(());
    }
    Err(Error::setting(
        "The dictionary does not fit the site",
        format!("it takes activations of width {}, and the site has {width}", sae.width()),
        "Choose a dictionary that was trained on this model at this site",
    ))
}
