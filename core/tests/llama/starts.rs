//! Passes that begin at a site or behind a prefix, and gradients that stop at sites.

use super::support::{Noise, distance, numbers, open, open_f64};
use candle_core::{DType, Tensor};
use sparsescope_core::Result;
use sparsescope_core::llama::{
    Change, Gradients, Logits, Model, Pass, Plan, Prefix, Site, Start, Tokens, WhatGradients,
};

const BATCH: usize = 3;
const POSITIONS: usize = 9;

struct Text {
    model: Model,
    tokens: Tokens,
    pass: Pass,
    sites: Vec<Site>,
}

impl Text {
    fn new(model: Model) -> Self {
        let ids = Noise(1).tokens(BATCH * POSITIONS, model.config().vocab);
        let tokens = Tokens::new(ids, BATCH, POSITIONS).unwrap();
        let sites = Site::all(model.config().layers);
        let plan = Plan { read: &sites, logits: Logits::All, trace: true, ..Plan::default() };
        let pass = model.forward(&tokens, &plan).unwrap();
        Self { model, tokens, pass, sites }
    }

    /// The rows' tokens from `first` on.
    fn rest(&self, first: usize) -> Tokens {
        let rows: Vec<Vec<u32>> =
            self.tokens.ids().chunks(POSITIONS).map(|row| row[first..].to_vec()).collect();
        Tokens::rows(&rows).unwrap()
    }

    /// What the output of `site` is added to.
    fn beside(&self, site: Site) -> Option<Tensor> {
        let before = |l: usize| l.checked_sub(1).map_or(Site::Embed, Site::Resid);
        let x = |site: Site| &self.pass.sites[&site];
        match site {
            Site::Attn(l) => Some(x(before(l)).clone()),
            Site::Mlp(l) => Some((x(before(l)) + x(Site::Attn(l))).unwrap()),
            _ => None,
        }
    }
}

fn last(x: &Tensor, first: usize) -> Tensor {
    x.narrow(1, first, POSITIONS - first).unwrap().contiguous().unwrap()
}

/// Sets a site's output.
struct Hold(Tensor);

impl Change for Hold {
    fn apply(&self, _x: &Tensor, _first: usize) -> Result<Tensor> {
        Ok(self.0.clone())
    }
}

/// Adds to a site's output.
struct Nudge(Tensor);

impl Change for Nudge {
    fn apply(&self, x: &Tensor, _first: usize) -> Result<Tensor> {
        Ok((x + &self.0)?)
    }
}

fn dot(a: &Tensor, b: &Tensor) -> f64 {
    numbers(a).iter().zip(numbers(b)).map(|(x, y)| x * y).sum()
}

/// In f32 with the same bits where the products have the same shapes, in f64 to its last places.
#[test]
fn from_each_site_with_its_own_value_the_pass_is_the_whole_one() {
    for name in ["llama_a", "llama_b"] {
        for text in [Text::new(open(name)), Text::new(open_f64(name))] {
            let exact = text.model.dtype() == DType::F64;
            for &site in &text.sites {
                for first in [0, 1, 5, POSITIONS - 1] {
                    let tolerance = if exact { 1e-12 } else { 0.0 };
                    if exact || first == 0 {
                        started_is_whole(&text, site, first, tolerance);
                    }
                }
            }
        }
    }
}

fn started_is_whole(text: &Text, site: Site, first: usize, tolerance: f64) {
    let value = last(&text.pass.sites[&site], first);
    let beside = text.beside(site).map(|x| last(&x, first));
    let above: Vec<Site> = text.sites.iter().copied().filter(|s| *s >= site).collect();
    let prefix = Prefix { pass: &text.pass, rows: &[0, 1, 2], positions: first };
    let plan = Plan {
        read: &above,
        logits: Logits::All,
        start: Some(Start { site, value: &value, beside: beside.as_ref() }),
        prefix: (first > 0).then_some(prefix),
        ..Plan::default()
    };
    let found = text.model.forward(&text.rest(first), &plan).unwrap();
    for s in &above {
        let far = distance(&found.sites[s], &last(&text.pass.sites[s], first));
        assert!(far <= tolerance, "from {site} at {first}: {s} is off by {far:e}");
    }
    let logits = last(text.pass.logits.as_ref().unwrap(), first);
    assert!(distance(found.logits.as_ref().unwrap(), &logits) <= tolerance);
}

/// Rows may continue any row of the pass before them, and that may itself have a prefix.
#[test]
fn behind_a_prefix_the_rest_is_that_of_the_whole_text() {
    let text = Text::new(open_f64("llama_b"));
    let rows = [2, 0, 2, 1];
    let whole = |first: usize, rows: &[usize]| -> Tokens {
        let rest = text.rest(first);
        let each = POSITIONS - first;
        let rows: Vec<&[u32]> = rows.iter().map(|r| &rest.ids()[r * each..][..each]).collect();
        Tokens::rows(&rows).unwrap()
    };
    let (read, sites) = ([Site::Resid(1)], &text.sites);
    let middle = Plan {
        read: sites,
        trace: true,
        prefix: Some(Prefix { pass: &text.pass, rows: &rows, positions: 3 }),
        ..Plan::default()
    };
    let middle = text.model.forward(&whole(3, &rows), &middle).unwrap();
    let end = Plan {
        read: &read,
        prefix: Some(Prefix { pass: &middle, rows: &[3, 1], positions: 6 }),
        ..Plan::default()
    };
    let end = text.model.forward(&whole(6, &[1, 0]), &end).unwrap();
    let wanted = last(&text.pass.sites[&read[0]], 6);
    for (i, row) in [1, 0].into_iter().enumerate() {
        let far = distance(&end.sites[&read[0]].get(i).unwrap(), &wanted.get(row).unwrap());
        assert!(far < 1e-12, "{far:e}");
    }
}

fn gradients(
    model: &Model,
    pass: &Pass,
    seed: (Site, Tensor),
    sites: &[Site],
    stop: &[Site],
) -> Gradients {
    let what = WhatGradients { sites, stop, ..WhatGradients::default() };
    model.backward_from(pass, &[seed], what).unwrap()
}

/// By finite differences of the started pass, f64.
#[test]
fn the_gradient_of_a_started_pass() {
    let text = Text::new(open_f64("llama_a"));
    let (width, top) = (text.model.config().width, Site::Resid(1));
    for &site in &text.sites {
        for first in [0, 4] {
            let shape = [BATCH, POSITIONS - first, width];
            let seed = Noise(2).tensor(&shape, DType::F64);
            let direction = Noise(3).tensor(&shape, DType::F64);
            let beside = text.beside(site).map(|x| last(&x, first));
            let run = |value: &Tensor, trace: bool| {
                let plan = Plan {
                    read: &[top],
                    trace,
                    start: Some(Start { site, value, beside: beside.as_ref() }),
                    prefix: (first > 0).then_some(Prefix {
                        pass: &text.pass,
                        rows: &[0, 1, 2],
                        positions: first,
                    }),
                    ..Plan::default()
                };
                text.model.forward(&text.rest(first), &plan).unwrap()
            };
            // Away from the value that the text itself has there.
            let value = (last(&text.pass.sites[&site], first)
                + Noise(4).tensor(&shape, DType::F64))
            .unwrap();
            let at = |step: f64| {
                let value = (&value + (&direction * step).unwrap()).unwrap();
                dot(&run(&value, false).sites[&top], &seed)
            };
            let numeric = (at(1e-5) - at(-1e-5)) / 2e-5;
            let found =
                gradients(&text.model, &run(&value, true), (top, seed.clone()), &[site], &[]);
            let found = dot(&found.sites[&site], &direction);
            let scale = numeric.abs().max(1.0);
            assert!((found - numeric).abs() < 1e-6 * scale, "{site}: {found} not {numeric}");
        }
    }
}

/// By finite differences of a pass in which the sites that stop gradients are held, f64.
#[test]
fn gradients_stop_where_they_are_told_to() {
    use Site::{Attn, Embed, Mlp, Resid};
    let text = Text::new(open_f64("llama_a"));
    let shape = [BATCH, POSITIONS, text.model.config().width];
    let stops: [&[Site]; 6] = [
        &[Mlp(1), Attn(1)],
        &[Attn(1)],
        &[Mlp(1)],
        &[Attn(0), Mlp(1)],
        &[Resid(0)],
        &[Attn(0), Mlp(0), Attn(1), Mlp(1)],
    ];
    for from in [Resid(1), Mlp(1), Attn(1), Resid(0)] {
        for stop in stops {
            let stop: Vec<Site> = stop.iter().copied().filter(|s| *s != from).collect();
            let seed = Noise(5).tensor(&shape, DType::F64);
            let sites: Vec<Site> = [Embed, Attn(0), Mlp(0), Resid(0), Attn(1)]
                .into_iter()
                .filter(|s| *s < from)
                .collect();
            let found = gradients(&text.model, &text.pass, (from, seed.clone()), &sites, &stop);
            for &up in &sites {
                let direction = Noise(6).tensor(&shape, DType::F64);
                let at = |step: f64| {
                    let held: Vec<(Site, Hold)> =
                        stop.iter().map(|s| (*s, Hold(text.pass.sites[s].clone()))).collect();
                    let nudge = Nudge((&direction * step).unwrap());
                    let mut change: Vec<(Site, &dyn Change)> =
                        held.iter().map(|(s, hold)| (*s, hold as &dyn Change)).collect();
                    change.push((up, &nudge));
                    let plan = Plan { read: &[from], change: &change, ..Plan::default() };
                    dot(&text.model.forward(&text.tokens, &plan).unwrap().sites[&from], &seed)
                };
                let numeric = (at(1e-5) - at(-1e-5)) / 2e-5;
                let found = dot(&found.sites[&up], &direction);
                let scale = numeric.abs().max(1.0);
                assert!(
                    (found - numeric).abs() < 1e-6 * scale,
                    "{up} to {from} past {stop:?}: {found} not {numeric}"
                );
            }
        }
    }
}

/// What the reference subtracted before it had stop-gradients: the residual stream's direct path
/// is all paths less those through the MLP alone and those through the attention.
#[test]
fn the_direct_path_is_the_rest_without_mlp_and_attention() {
    use Site::{Attn, Mlp, Resid};
    let text = Text::new(open_f64("llama_a"));
    let shape = [BATCH, POSITIONS, text.model.config().width];
    let seed = Noise(7).tensor(&shape, DType::F64);
    let run = |seed: (Site, Tensor), site: Site, stop: &[Site]| {
        gradients(&text.model, &text.pass, seed, &[site], stop).sites[&site].clone()
    };
    let all = run((Resid(1), seed.clone()), Resid(0), &[]);
    let at_mlp = run((Resid(1), seed.clone()), Mlp(1), &[]);
    let past_attention = run((Mlp(1), at_mlp), Resid(0), &[Attn(1)]);
    let at_attention = run((Resid(1), seed.clone()), Attn(1), &[]);
    let through_attention = run((Attn(1), at_attention), Resid(0), &[]);
    let rest = ((all - past_attention).unwrap() - through_attention).unwrap();
    let direct = run((Resid(1), seed.clone()), Resid(0), &[Mlp(1), Attn(1)]);
    assert!(distance(&direct, &rest) < 1e-12);
    assert!(distance(&direct, &seed) < 1e-12);
}

#[test]
fn rows_and_places_of_a_pass_have_the_gradients_that_they_have_in_it() {
    use Site::{Attn, Mlp, Resid};
    let text = Text::new(open_f64("llama_b"));
    let width = text.model.config().width;
    let prefix = Plan {
        read: &[Resid(1)],
        trace: true,
        prefix: Some(Prefix { pass: &text.pass, rows: &[0, 1, 2], positions: 2 }),
        ..Plan::default()
    };
    let rest = text.model.forward(&text.rest(2), &prefix).unwrap();
    for (pass, positions) in [(&text.pass, POSITIONS), (&rest, POSITIONS - 2)] {
        let seed = Noise(8).tensor(&[BATCH, positions, width], DType::F64);
        let whole = gradients(&text.model, pass, (Attn(1), seed.clone()), &[Resid(0)], &[]);
        let rows = [1, 1, 0];
        let some = pass.rows(&rows, 1..2).unwrap();
        let chosen = Tensor::new(&[1u32, 1, 0], seed.device()).unwrap();
        let own = (Attn(1), seed.index_select(&chosen, 0).unwrap());
        let found = gradients(&text.model, &some, own, &[Resid(0)], &[]);
        let wanted = whole.sites[&Resid(0)].index_select(&chosen, 0).unwrap();
        assert!(distance(&found.sites[&Resid(0)], &wanted) < 1e-12);

        let whole = gradients(&text.model, pass, (Mlp(1), seed.clone()), &[Resid(0)], &[Attn(1)]);
        let places = Tensor::new(&[4u32, 0, 11], seed.device()).unwrap();
        let flat = |x: &Tensor| {
            let x = x.reshape((BATCH * positions, width)).unwrap();
            x.index_select(&places, 0).unwrap().reshape((3, 1, width)).unwrap()
        };
        let some = pass.places(&[4, 0, 11], 1..2).unwrap();
        let found = gradients(&text.model, &some, (Mlp(1), flat(&seed)), &[Resid(0)], &[Attn(1)]);
        assert!(distance(&found.sites[&Resid(0)], &flat(&whole.sites[&Resid(0)])) < 1e-12);

        let what = WhatGradients { sites: &[Resid(0)], ..WhatGradients::default() };
        let through = text.model.backward_from(&some, &[(Mlp(1), flat(&seed))], what);
        assert!(through.is_err(), "a place by itself has no attention");
        assert!(pass.rows(&[3], 1..2).is_err(), "there is no such row");
        assert!(pass.rows(&[0], 1..3).is_err(), "there is no such block");
    }
}

#[test]
fn what_a_started_pass_does_not_have_is_refused() {
    let text = Text::new(open("llama_a"));
    let value = &text.pass.sites[&Site::Mlp(0)];
    let start = |site: Site, value| Some(Start { site, value, beside: None });
    let go = |plan: Plan<'_>| text.model.forward(&text.tokens, &plan);
    assert!(go(Plan { start: start(Site::Mlp(0), value), ..Plan::default() }).is_err());
    let below =
        Plan { read: &[Site::Embed], start: start(Site::Resid(0), value), ..Plan::default() };
    assert!(go(below).is_err());
    let short = last(value, 1);
    assert!(go(Plan { start: start(Site::Resid(0), &short), ..Plan::default() }).is_err());
    let plan = Plan {
        read: &[Site::Resid(1)],
        trace: true,
        start: start(Site::Resid(0), value),
        ..Plan::default()
    };
    let pass = go(plan).unwrap();
    let what = WhatGradients { sites: &[Site::Mlp(0)], ..WhatGradients::default() };
    let seed = [(Site::Resid(1), value.clone())];
    assert!(text.model.backward_from(&pass, &seed, what).is_err());
}
