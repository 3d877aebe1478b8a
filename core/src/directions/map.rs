//! A map of all directions, kept in the dictionary's folder.

use super::pca::pca;
use super::tsne::{TsneSpec, tsne};
use super::unit::Directions;
use crate::activations::tensor_file::{Column, TensorFile, write};
use crate::error::{Error, Result};
use crate::jobs::JobContext;
use crate::sae::Sae;
use sha2::{Digest as _, Sha256};
use std::path::{Path, PathBuf};

/// How a map is made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MapMethod {
    /// The first two principal components.
    Pca,
    /// t-SNE.
    Tsne(TsneSpec),
}

/// A point for every latent of a dictionary.
#[derive(Debug, Clone, PartialEq)]
pub struct DirectionMap {
    /// How it was made.
    pub method: MapMethod,
    /// Latents in order of index; both coordinates NaN for one whose decoder direction is zero.
    pub points: Vec<[f32; 2]>,
    /// The share of the variance that each axis explains; of principal components only.
    pub explained: Option<[f64; 2]>,
}

impl DirectionMap {
    /// How many latents have a place on it.
    pub fn placed(&self) -> usize {
        self.points.iter().filter(|p| p[0].is_finite()).count()
    }

    /// How it was made, in words.
    pub fn said(&self) -> String {
        let placed = self.placed();
        let left_out = match self.points.len() - placed {
            0 => String::new(),
            1 => " One latent has a zero direction and no place.".to_owned(),
            n => format!(" {n} latents have a zero direction and no place."),
        };
        match self.method {
            MapMethod::Pca => {
                let [x, y] = self.explained.unwrap_or_default().map(|v| v * 100.0);
                format!(
                    "The first two principal components of {placed} decoder directions of length \
                     one. They explain {x:.1} % and {y:.1} % of the variance: what lies close \
                     here may be far apart in what is left.{left_out}"
                )
            }
            MapMethod::Tsne(spec) => format!(
                "t-SNE of {placed} decoder directions by cosine: exact neighbours over the whole \
                 width, perplexity {}, {} steps, seed {}. Neighbours stay neighbours; distances \
                 between far points and sizes of groups mean little.{left_out}",
                spec.perplexity, spec.epochs, spec.seed
            ),
        }
    }
}

/// Makes a map of all decoder directions.
///
/// # Errors
/// No latent has a direction (of t-SNE: too few have), or the job was stopped.
pub fn direction_map<E>(ctx: &JobContext<E>, sae: &Sae, method: MapMethod) -> Result<DirectionMap> {
    let of = Directions::of(sae);
    if of.is_empty() {
        return Err(Error::setting(
            "There is nothing to map",
            "every decoder direction of this dictionary is zero",
            "Choose another dictionary, or train this one again",
        ));
    }
    let (placed, explained) = match method {
        MapMethod::Pca => {
            let components = pca(ctx, &of, 2)?;
            let share = |i: usize| components.explained.get(i).copied().unwrap_or(0.0);
            let point = |p: &Vec<f32>| [0, 1].map(|c| p.get(c).copied().unwrap_or(0.0));
            let points = components.coordinates.iter().map(point).collect();
            (points, Some([share(0), share(1)]))
        }
        MapMethod::Tsne(spec) => (tsne(ctx, &of, spec)?, None),
    };
    let mut points = vec![[f32::NAN; 2]; of.total()];
    for (latent, point) in of.latents().iter().zip::<Vec<[f32; 2]>>(placed) {
        points[*latent as usize] = point;
    }
    Ok(DirectionMap { method, points, explained })
}

/// A t-SNE map takes its time, so it is kept in the dictionary's folder.
///
/// # Errors
/// The file cannot be written.
pub fn save_map(dir: &Path, sae: &Sae, map: &DirectionMap) -> Result<()> {
    let MapMethod::Tsne(spec) = map.method else { return Ok(()) };
    let columns = [
        Column::u8("decoder", digest(sae)),
        Column::f32("perplexity", [spec.perplexity]),
        Column::u64("epochs_and_seed", [spec.epochs as u64, spec.seed]),
        Column::f32("points", map.points.iter().flatten().copied()),
    ];
    write(&file(dir), &columns).map(|_| ())
}

/// The t-SNE map that was kept, if there is one of just these directions made just so.
///
/// # Errors
/// The file is there but cannot be read.
pub fn load_map(dir: &Path, sae: &Sae, spec: TsneSpec) -> Result<Option<DirectionMap>> {
    let path = file(dir);
    if !path.exists() {
        return Ok(None);
    }
    let mut file = TensorFile::open(&path)?;
    let made = file.u64s("epochs_and_seed")?;
    if file.f32s("perplexity")? != [spec.perplexity]
        || made != [spec.epochs as u64, spec.seed]
        || file.u8s("decoder")? != digest(sae)
    {
        return Ok(None);
    }
    let points = file.f32s("points")?;
    if points.len() != 2 * sae.latents() {
        return Err(file.damaged("it has another number of points than the dictionary has latents"));
    }
    let points = points.as_chunks::<2>().0.to_vec();
    Ok(Some(DirectionMap { method: MapMethod::Tsne(spec), points, explained: None }))
}

fn file(dir: &Path) -> PathBuf {
    dir.join("directions.safetensors")
}

/// What the directions are, in 32 bytes: a dictionary that was trained further has others.
fn digest(sae: &Sae) -> Vec<u8> {
    let mut hash = Sha256::new();
    for chunk in sae.decoder.data().chunks(1 << 14) {
        let bytes: Vec<u8> = chunk.iter().flat_map(|v| v.to_le_bytes()).collect();
        hash.update(bytes);
    }
    hash.finalize().to_vec()
}
