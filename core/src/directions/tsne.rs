//! A map by t-SNE.

use super::pairs::{Nearest, nearest_of_all};
use super::pca::pca;
use super::unit::Directions;
use crate::error::{Error, Result};
use crate::jobs::JobContext;
use bhtsne::{Neighbor, tSNE};
use crossbeam_channel::{RecvTimeoutError, bounded};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

/// How a t-SNE map is made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TsneSpec {
    /// How many neighbours count, smoothly; at most a third of the directions.
    pub perplexity: f32,
    /// Steps of gradient descent.
    pub epochs: usize,
    /// Seed of the little noise that the map begins with.
    pub seed: u64,
}

impl Default for TsneSpec {
    fn default() -> Self {
        Self { perplexity: 30.0, epochs: 750, seed: 0 }
    }
}

/// Fewer directions than this have no neighbourhoods to keep.
const FEWEST: usize = 8;

/// Two coordinates for each direction: neighbours by cosine stay neighbours; distances between
/// far points mean little.
///
/// The neighbours are exact, by cosine over the whole width. The affinities are those of the
/// distances between unit vectors, `√(2 - 2 cos)`; the map begins with the first two principal
/// components, made small, and is found by the library's FFT-accelerated descent (Linderman et
/// al. 2019, 1712.09005). That runs on one thread, where its sums have one order, so that a seed
/// gives one map on however many threads the rest is computed.
///
/// The descent looks at the cancel flag after each step; this function returns at once, and a
/// thread that is left in the middle of a step ends itself after it.
///
/// # Errors
/// Too few directions, or the job was stopped.
pub fn tsne<E>(ctx: &JobContext<E>, of: &Directions, spec: TsneSpec) -> Result<Vec<[f32; 2]>> {
    let n = of.len();
    if n < FEWEST {
        return Err(Error::setting(
            "There is no t-SNE map of so few directions",
            format!("{n} of the latents have a direction, and it needs {FEWEST}"),
            "Look at the principal components instead",
        ));
    }
    // Each needs three times as many neighbours as the perplexity says.
    let perplexity = spec.perplexity.clamp(1.0, ((n - 1) / 3) as f32);
    let start = start(ctx, of, spec.seed)?;
    let nearest = nearest_of_all(ctx, of, of, (3.0 * perplexity) as usize, true)?;
    ctx.progress().stage("Preparing the map", "steps", 0, spec.epochs as u64);
    descend(ctx, nearest, start, TsneSpec { perplexity, ..spec })
}

/// The first two principal components, so small that nothing is decided yet, with noise by which
/// equal directions can part.
fn start<E>(ctx: &JobContext<E>, of: &Directions, seed: u64) -> Result<Vec<f32>> {
    let components = pca(ctx, of, 2)?;
    let place = |p: &Vec<f32>, c: usize| p.get(c).copied().unwrap_or(0.0);
    let square: f64 = components.coordinates.iter().map(|p| f64::from(place(p, 0)).powi(2)).sum();
    let spread = (square / of.len() as f64).sqrt().max(1e-12);
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut noise = || random.random_range(-1e-6..1e-6);
    let both =
        |p: &Vec<f32>| [0, 1].map(|c| (f64::from(place(p, c)) / spread * 1e-4 + noise()) as f32);
    Ok(components.coordinates.iter().flat_map(both).collect())
}

/// What the descent tells.
enum Said {
    Step,
    Done(Vec<f32>),
}

fn descend<E>(
    ctx: &JobContext<E>,
    nearest: Nearest,
    start: Vec<f32>,
    spec: TsneSpec,
) -> Result<Vec<[f32; 2]>> {
    let (tell, hear) = bounded(64);
    let left = Arc::new(AtomicBool::new(false));
    let stop = left.clone();
    let work = move || {
        let one = rayon::ThreadPoolBuilder::new().num_threads(1).build();
        let fit = || {
            let neighbors = neighbours(&nearest);
            drop(nearest);
            // The library looks only at how many there are: neighbours are given.
            let data = vec![(); neighbors.len()];
            let mut map: tSNE<'_, f32, (), 2> = tSNE::new(&data);
            let told = tell.clone();
            map.perplexity(spec.perplexity)
                .epochs(spec.epochs)
                .stop_lying_epoch(spec.epochs / 3)
                .momentum_switch_epoch(spec.epochs / 3)
                .initial_embedding(start)
                .epoch_callback(move |_, _| {
                    if stop.load(Relaxed) {
                        // The one way out of the library's loop; nothing is printed.
                        resume_unwind(Box::new("stopped"));
                    }
                    let _ = told.try_send(Said::Step);
                })
                .fit_sne_with_neighbors(&neighbors);
            let _ = tell.send(Said::Done(map.embedding()));
        };
        if let Ok(pool) = one {
            let _ = catch_unwind(AssertUnwindSafe(|| pool.install(fit)));
        }
    };
    let failed = |why: &str| Error::internal("The t-SNE map could not be made", why);
    std::thread::Builder::new()
        .name("t-SNE".to_owned())
        .spawn(work)
        .map_err(|e| failed(&e.to_string()))?;
    let mut begun = false;
    loop {
        if let Err(error) = ctx.check() {
            left.store(true, Relaxed);
            return Err(error);
        }
        match hear.recv_timeout(Duration::from_millis(50)) {
            Ok(Said::Step) => {
                if !begun {
                    ctx.progress().stage("Laying out the map", "steps", 0, spec.epochs as u64);
                    begun = true;
                }
                ctx.progress().add(1);
            }
            Ok(Said::Done(map)) => {
                let points: Vec<[f32; 2]> = map.as_chunks::<2>().0.to_vec();
                if points.iter().flatten().all(|v| v.is_finite()) {
                    return Ok(points);
                }
                return Err(failed("a coordinate is no number"));
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(failed("its thread ended")),
        }
    }
}

/// In the library's form, as distances.
fn neighbours(nearest: &Nearest) -> Vec<Vec<Neighbor<f32>>> {
    let distance = |c: f32| (2.0 - 2.0 * f64::from(c)).max(0.0).sqrt() as f32;
    let n = nearest.places.len() / nearest.k.max(1);
    let of =
        |i| nearest.of(i).map(|(index, c)| Neighbor { index, distance: distance(c) }).collect();
    (0..n).map(of).collect()
}
