//! Seconds a clean/patch pair of finding a circuit, on a Llama and dictionaries of random weights.

use super::{Lap, Stopwatch, tiny};
use crate::circuits::{Aggregation, Bases, Example, Examples, FindSpec, Method, Stages};
use crate::circuits::{connect, find};
use crate::edits::Dictionaries;
use crate::error::{Error, Result};
use crate::jobs::JobContext;
use crate::llama::{Model, Site};
use crate::sae::{About, Architecture, Extra, L1Penalty, Matrix, Sae, Wiring};
use candle_core::Device;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, StandardNormal};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What is measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AttributionShape {
    /// Pairs.
    pub batch: usize,
    /// Tokens of a prompt.
    pub positions: usize,
    /// The position at which the prompts of a pair differ.
    pub differ: usize,
    /// Latents of each dictionary as a multiple of the width.
    pub expansion: usize,
    /// Latents that fire on each token (TopK); `None`: about half of all (ReLU).
    pub k: Option<usize>,
    /// Steps of integrated gradients.
    pub steps: usize,
    /// Nodes whose incoming edges are computed.
    pub nodes: usize,
    /// Times that each is run in a repetition.
    pub passes: usize,
    /// Repetitions, of which the median counts.
    pub repetitions: usize,
    /// Seed of tokens and weights.
    pub seed: u64,
}

/// What one kind of work took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AttributionTiming {
    /// Which: see [`attribution`].
    pub work: String,
    /// Seconds a pair by the clock on the wall, median of the repetitions.
    pub seconds: f64,
    /// Seconds of processor time a pair, median of the repetitions.
    pub cpu_seconds: Option<f64>,
    /// Effects or edges that it gave.
    pub outcome: usize,
    /// Every repetition.
    pub laps: Vec<Lap>,
}

/// Measures on [`tiny`] with a dictionary at each of its 19 sites, the kinds of work in turn:
///
/// - `attribution`, `ig`, `relp`: from the prompts to the effect of every latent and error at every
///   position in each pair;
/// - `edges`: from gradients and activations to all edges into the nodes of greatest effect, from
///   every node before them; `edges between`: only from one another;
/// - `find attribution`, `find ig`: the whole job, which also averages, keeps nodes and reads their
///   activations (no audit, no resamples); `connect`: the whole job of edges between its nodes,
///   gradients by integrated gradients included.
///
/// # Errors
/// A shape that makes no sense; cancelled.
pub fn attribution<E>(
    ctx: &JobContext<E>,
    shape: &AttributionShape,
) -> Result<Vec<AttributionTiming>> {
    if shape.batch == 0
        || shape.differ >= shape.positions
        || shape.repetitions == 0
        || shape.passes == 0
    {
        return Err(Error::setting(
            "There is nothing to measure",
            "pairs, passes and repetitions must be at least 1, and prompts must differ somewhere",
            "Give numbers from 1 on, and a position that the prompts have",
        ));
    }
    let model = tiny(shape.seed, &Device::Cpu)?;
    let bases = dictionaries(&model, shape)?;
    let examples = pairs(&model, shape);
    let spec = |method| FindSpec {
        method,
        aggregation: Aggregation::PerPosition,
        node_threshold: 0.0,
        edge_threshold: 0.0,
        most_nodes: shape.nodes,
        audit: 0,
        resamples: 0,
        ..FindSpec::default()
    };
    let ig = Method::IntegratedGradients { steps: shape.steps };
    let specs = [spec(Method::Attribution), spec(ig), spec(Method::Relp)];
    let stages: Vec<Stages<'_>> = specs
        .iter()
        .map(|spec| Stages::new(&model, &bases, &examples, spec))
        .collect::<Result<_>>()?;
    let before = stages[1].before_edges(shape.nodes)?;
    let quiet = ctx.without_events::<()>();
    let found = find(&quiet, &model, &bases, &examples, &specs[1])?;
    type Work<'a> = (&'a str, Box<dyn Fn() -> Result<usize> + 'a>);
    let whole = |spec: &'_ FindSpec| {
        find(&quiet, &model, &bases, &examples, spec).map(|circuit| circuit.candidates)
    };
    let works: Vec<Work<'_>> = vec![
        ("attribution", Box::new(|| stages[0].effects())),
        ("ig", Box::new(|| stages[1].effects())),
        ("relp", Box::new(|| stages[2].effects())),
        ("edges", Box::new(|| stages[1].edges(&before, true))),
        ("edges between", Box::new(|| stages[1].edges(&before, false))),
        ("find attribution", Box::new(|| whole(&specs[0]))),
        ("find ig", Box::new(|| whole(&specs[1]))),
        (
            "connect",
            Box::new(|| {
                let mut circuit = found.clone();
                connect(&quiet, &model, &bases, &examples, &mut circuit)?;
                Ok(circuit.edges.len())
            }),
        ),
    ];
    let mut out: Vec<AttributionTiming> = works
        .iter()
        .map(|(work, _)| AttributionTiming {
            work: (*work).to_owned(),
            seconds: 0.0,
            cpu_seconds: None,
            outcome: 0,
            laps: Vec::new(),
        })
        .collect();
    for repetition in 0..=shape.repetitions {
        for ((_, work), timing) in works.iter().zip(&mut out) {
            ctx.check()?;
            ctx.progress().stage(
                "Measuring",
                "repetitions",
                repetition as u64,
                shape.repetitions as u64 + 1,
            );
            let watch = Stopwatch::start();
            for _ in 0..shape.passes {
                timing.outcome = work()?;
            }
            // The first is not counted: it warms up.
            if repetition > 0 {
                timing.laps.push(watch.lap());
            }
        }
    }
    let each = (shape.batch * shape.passes) as f64;
    for timing in &mut out {
        let middle = Lap::median(&timing.laps)
            .ok_or_else(|| Error::internal("Nothing was measured", "there was no repetition"))?;
        timing.seconds = middle.seconds / each;
        timing.cpu_seconds = middle.cpu_seconds.map(|s| s / each);
    }
    Ok(out)
}

/// A random dictionary at each site: unit directions, the encoder their transpose.
fn dictionaries(model: &Model, shape: &AttributionShape) -> Result<Bases> {
    let mut rng = ChaCha8Rng::seed_from_u64(shape.seed ^ 5);
    let d = model.config().width;
    let m = d * shape.expansion;
    let mut normal = |n: usize, scale: f32| -> Vec<f32> {
        (0..n)
            .map(|_| {
                let x: f32 = StandardNormal.sample(&mut rng);
                scale * x
            })
            .collect()
    };
    let mut out = Dictionaries::new();
    let sites = Site::all(model.config().layers);
    for site in &sites {
        let mut decoder = Matrix::new(m, d, normal(m * d, 1.0))?;
        for (i, norm) in decoder.row_norms().into_iter().enumerate() {
            decoder.row_mut(i).iter_mut().for_each(|w| *w /= norm);
        }
        let sae = Sae {
            architecture: match shape.k {
                Some(k) => Architecture::TopK { k },
                None => Architecture::Standard { penalty: L1Penalty::UnitNorm },
            },
            encoder: decoder.clone(),
            b_enc: normal(m, 0.02),
            decoder,
            b_dec: normal(d, 0.02),
            extra: Extra::default(),
            wiring: Wiring::Centred,
            about: About::default(),
        };
        sae.validate()?;
        out.insert(*site, Arc::new(sae));
    }
    Bases::new(model, &sites, &out)
}

fn pairs(model: &Model, shape: &AttributionShape) -> Examples {
    let mut rng = ChaCha8Rng::seed_from_u64(shape.seed ^ 7);
    let vocab = model.config().vocab as u32;
    let kept = (0..shape.batch)
        .map(|pair| {
            let clean: Vec<u32> =
                (0..shape.positions).map(|_| rng.random_range(0..vocab)).collect();
            let mut patch = clean.clone();
            patch[shape.differ] = (clean[shape.differ] + rng.random_range(1..vocab)) % vocab;
            let right = rng.random_range(0..vocab);
            let wrong = (right + rng.random_range(1..vocab)) % vocab;
            Example {
                pair,
                clean,
                patch: Some(patch),
                right: vec![right],
                wrong: vec![wrong],
                negate: false,
                case: String::new(),
            }
        })
        .collect();
    Examples { kept, left_out: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_shape_is_measured() {
        let shape = AttributionShape {
            batch: 1,
            positions: 4,
            differ: 2,
            expansion: 1,
            k: Some(4),
            steps: 2,
            nodes: 20,
            passes: 1,
            repetitions: 1,
            seed: 0,
        };
        let ctx = JobContext::<()>::unwatched();
        let found = attribution(&ctx, &shape).unwrap();
        assert_eq!(found.len(), 8);
        for timing in &found {
            assert!(timing.outcome > 0 && timing.seconds > 0.0, "{}", timing.work);
        }
        let edges = |name: &str| found.iter().find(|t| t.work == name).unwrap().outcome;
        assert!(edges("edges") > edges("edges between"));
        assert!(attribution(&ctx, &AttributionShape { differ: 4, ..shape }).is_err());
    }
}
