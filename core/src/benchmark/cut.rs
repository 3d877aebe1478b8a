//! How long a verdict takes after a click on a node of a circuit.

use super::collect::dictionary;
use super::{Lap, Stopwatch};
use crate::circuits::{
    Bases, Change, Cut, CutOp, Examples, Judge, JudgeSpec, Metric, Node, Task, Unit,
};
use crate::edits::Dictionaries;
use crate::error::{Error, Result};
use crate::jobs::JobContext;
use crate::llama::{Model, Site};
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What to measure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CutShape {
    /// The built-in world's task.
    pub task: String,
    /// Pairs that are judged by.
    pub pairs: usize,
    /// Latents of the random TopK dictionary at every site.
    pub latents: usize,
    /// Latents active on each token.
    pub k: usize,
    /// Nodes of the circuit, drawn.
    pub nodes: usize,
    /// Clicks, each on another node of it.
    pub clicks: usize,
    /// Seed of all drawing.
    pub seed: u64,
}

/// What was measured. Times are medians.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CutFigures {
    /// Positions of a prompt.
    pub positions: usize,
    /// Sites with a dictionary.
    pub sites: usize,
    /// Getting ready: ablation values, F(M), F(∅).
    pub ready: Lap,
    /// The first verdict on the circuit, without a cut.
    pub first: Lap,
    /// A verdict after one node of it was cut.
    pub click: Lap,
    /// The slowest of them, in seconds.
    pub slowest: f64,
    /// Undoing that cut again.
    pub undo: Lap,
    /// Seconds of each click.
    pub clicks: Vec<f64>,
}

/// Measures clicks on the nodes of a random circuit of `model`, which must know the words of the
/// built-in world.
///
/// # Errors
/// A shape that makes no sense; cancelled.
pub fn cut<E>(ctx: &JobContext<E>, model: &Model, shape: &CutShape) -> Result<CutFigures> {
    if shape.clicks == 0 || shape.nodes < shape.clicks {
        return Err(Error::setting(
            "There is nothing to measure",
            "there must be at least one click, and a node for each",
            "Give numbers from 1 on, and as many nodes as clicks",
        ));
    }
    let width = model.config().width;
    let sites = Site::all(model.config().layers);
    let mut dictionaries = Dictionaries::new();
    for (i, site) in sites.iter().enumerate() {
        let sae = dictionary(width, shape.latents, shape.k, shape.seed ^ (i as u64 + 1))?;
        dictionaries.insert(*site, Arc::new(sae));
    }
    let bases = Bases::new(model, &sites, &dictionaries)?;
    let task = Task::world(&shape.task, shape.pairs, shape.seed)?;
    let metric = Metric::LogitDifference;
    let examples = Examples::prepare(model, &task, &metric, Change::Patch)?.some()?;
    let nodes = drawn(&sites, shape);
    ctx.progress().stage("Measuring", "clicks", 0, shape.clicks as u64);
    let watch = Stopwatch::start();
    let spec = JudgeSpec { metric, ..JudgeSpec::default() };
    let judge = Judge::new(ctx, model, &bases, &examples, spec)?;
    let ready = watch.lap();
    let watch = Stopwatch::start();
    judge.verdict(ctx, &nodes, &[])?;
    let first = watch.lap();
    let (mut clicks, mut undos) = (Vec::new(), Vec::new());
    let mut order: Vec<Node> = nodes.iter().copied().collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(shape.seed));
    for node in order.into_iter().take(shape.clicks) {
        let watch = Stopwatch::start();
        judge.verdict(ctx, &nodes, &[Cut { nodes: vec![node], op: CutOp::Zero }])?;
        clicks.push(watch.lap());
        let watch = Stopwatch::start();
        judge.verdict(ctx, &nodes, &[])?;
        undos.push(watch.lap());
        ctx.progress().add(1);
    }
    let median = |laps: &[Lap]| {
        Lap::median(laps).ok_or_else(|| Error::internal("Nothing was measured", "no click"))
    };
    Ok(CutFigures {
        positions: examples.commonest_length().unwrap_or(0),
        sites: sites.len(),
        ready,
        first,
        click: median(&clicks)?,
        slowest: clicks.iter().map(|lap| lap.seconds).fold(0.0, f64::max),
        undo: median(&undos)?,
        clicks: clicks.iter().map(|lap| lap.seconds).collect(),
    })
}

/// Latents of all sites, and the error of every third.
fn drawn(sites: &[Site], shape: &CutShape) -> BTreeSet<Node> {
    let mut rng = ChaCha8Rng::seed_from_u64(shape.seed ^ 7);
    let mut nodes = BTreeSet::new();
    while nodes.len() < shape.nodes.min(sites.len() * shape.latents) {
        let site = sites[rng.random_range(0..sites.len())];
        let unit = Unit::Latent(rng.random_range(0..shape.latents as u32));
        nodes.insert(Node { site, position: None, unit });
    }
    let errors = sites.iter().step_by(3);
    nodes.extend(errors.map(|site| Node { site: *site, position: None, unit: Unit::Error }));
    nodes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_clicks_are_measured() {
        let shape = CutShape {
            task: "simple".to_owned(),
            pairs: 4,
            latents: 64,
            k: 4,
            nodes: 6,
            clicks: 3,
            seed: 0,
        };
        let model = crate::demo::model(&candle_core::Device::Cpu).unwrap();
        let ctx = JobContext::<()>::unwatched();
        let figures = cut(&ctx, &model, &shape).unwrap();
        assert_eq!((figures.clicks.len(), figures.sites, figures.positions), (3, 13, 4));
        assert!(figures.slowest >= figures.click.seconds);
        assert!(cut(&ctx, &model, &CutShape { clicks: 7, ..shape }).is_err());
    }
}
