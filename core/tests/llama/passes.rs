//! What a forward pass promises: early stops, changes, batches, the cache, the context.

use crate::support::{Noise, distance, golden_models, open, open_f64};
use candle_core::{DType, IndexOp, Tensor};
use sparsescope_core::Result;
use sparsescope_core::llama::{
    Cache, Change, Generation, Logits, Model, Plan, Sampling, Site, Tokens,
};
use std::cell::{Cell, RefCell};

fn tokens(model: &Model, batch: usize, positions: usize) -> Tokens {
    let ids = Noise(1).tokens(batch * positions, model.config().vocab);
    Tokens::new(ids, batch, positions).unwrap()
}

fn logits(model: &Model, tokens: &Tokens) -> Tensor {
    let plan = Plan { logits: Logits::All, ..Plan::default() };
    model.forward(tokens, &plan).unwrap().logits.unwrap()
}

/// Puts a fixed tensor in a site's place.
struct Put(Tensor);

impl Change for Put {
    fn apply(&self, _x: &Tensor, _first: usize) -> Result<Tensor> {
        Ok(self.0.clone())
    }
}

struct Double;

impl Change for Double {
    fn apply(&self, x: &Tensor, _first: usize) -> Result<Tensor> {
        Ok((x * 2.0)?)
    }
}

#[test]
fn the_pass_stops_after_the_last_site_needed() {
    struct Witness(Cell<bool>);
    impl Change for Witness {
        fn apply(&self, x: &Tensor, _first: usize) -> Result<Tensor> {
            self.0.set(true);
            Ok(x.clone())
        }
    }
    let model = open("llama_a");
    let tokens = tokens(&model, 2, 7);
    let all = Site::all(model.config().layers);
    let whole = model.forward(&tokens, &Plan { read: &all, ..Plan::default() }).unwrap();
    for (i, &site) in all.iter().enumerate() {
        let blocks = RefCell::new(0);
        let check = || {
            *blocks.borrow_mut() += 1;
            Ok(())
        };
        let plan = Plan { read: &[site], check: Some(&check), ..Plan::default() };
        let pass = model.forward(&tokens, &plan).unwrap();
        assert_eq!(pass.sites.len(), 1);
        assert!(pass.logits.is_none());
        assert_eq!(distance(&pass.sites[&site], &whole.sites[&site]), 0.0);
        assert_eq!(*blocks.borrow(), site.layer().map_or(0, |l| l + 1), "{site}");
        // A change further on is reached, for its own sake.
        if let Some(&later) = all.get(i + 1) {
            let witness = Witness(Cell::new(false));
            let change: [(Site, &dyn Change); 1] = [(later, &witness)];
            let plan = Plan { read: &[site], change: &change, ..Plan::default() };
            model.forward(&tokens, &plan).unwrap();
            assert!(witness.0.get());
        }
    }
}

#[test]
fn a_stopped_pass_ends_with_the_reason() {
    let model = open("llama_a");
    let check = || Err(sparsescope_core::Error::cancelled("enough"));
    let plan = Plan { logits: Logits::Last, check: Some(&check), ..Plan::default() };
    assert!(model.forward(&tokens(&model, 1, 4), &plan).unwrap_err().is_cancelled());
}

#[test]
fn a_change_stands_in_for_the_site() {
    let model = open_f64("llama_b");
    let tokens = tokens(&model, 2, 9);
    let all = Site::all(model.config().layers);
    let plan = Plan { read: &all, logits: Logits::All, ..Plan::default() };
    let plain = model.forward(&tokens, &plan).unwrap();
    for &site in &all {
        // What was there, put there again, changes nothing.
        let same = Put(plain.sites[&site].clone());
        let change: [(Site, &dyn Change); 1] = [(site, &same)];
        let plan = Plan { change: &change, ..plan };
        let pass = model.forward(&tokens, &plan).unwrap();
        assert!(distance(pass.logits.as_ref().unwrap(), plain.logits.as_ref().unwrap()) < 1e-12);

        // Twice doubled is four times; the site is read after the changes, in their order.
        let change: [(Site, &dyn Change); 2] = [(site, &Double), (site, &Double)];
        let pass = model.forward(&tokens, &Plan { change: &change, ..plan }).unwrap();
        let four = (&plain.sites[&site] * 4.0).unwrap();
        assert_eq!(distance(&pass.sites[&site], &four), 0.0);
        for &other in &all {
            let moved = distance(&pass.sites[&other], &plain.sites[&other]) > 0.0;
            assert_eq!(moved, depends(other, site), "{other} on {site}");
        }
    }
}

/// Whether `other` is computed from `site`.
fn depends(other: Site, site: Site) -> bool {
    other >= site
}

#[test]
fn a_change_of_the_wrong_shape_is_refused() {
    let model = open("llama_a");
    let wrong = Put(Noise(1).tensor(&[1, 4, 31], DType::F32));
    let change: [(Site, &dyn Change); 1] = [(Site::Attn(0), &wrong)];
    let plan = Plan { change: &change, ..Plan::default() };
    assert!(model.forward(&tokens(&model, 1, 4), &plan).is_err());
}

#[test]
fn rows_of_a_batch_are_alone() {
    for name in golden_models() {
        let model = open(&name);
        let batch = tokens(&model, 5, 70);
        let together = logits(&model, &batch);
        for (i, row) in batch.ids().chunks(70).enumerate() {
            let alone = logits(&model, &Tokens::row(row).unwrap());
            assert!(distance(&together.i(i..i + 1).unwrap(), &alone) < 2e-5);
        }
    }
}

#[test]
fn padding_on_the_right_is_not_seen() {
    let model = open_f64("llama_a");
    let rows = [vec![1, 2, 3, 4, 5, 6, 7], vec![9, 8, 7]];
    let together = logits(&model, &Tokens::padded(&rows, 0).unwrap());
    for (i, row) in rows.iter().enumerate() {
        let alone = logits(&model, &Tokens::row(row).unwrap());
        let part = together.i((i..i + 1, ..row.len())).unwrap();
        assert!(distance(&part, &alone) < 1e-12);
    }
}

#[test]
fn the_last_logits_are_those_of_all() {
    let model = open_f64("llama_b");
    let tokens = tokens(&model, 3, 11);
    let plan = Plan { logits: Logits::Last, ..Plan::default() };
    let last = model.forward(&tokens, &plan).unwrap().logits.unwrap();
    assert!(distance(&last, &logits(&model, &tokens).i((.., 10)).unwrap()) < 1e-12);
}

#[test]
fn a_cache_continues_where_the_text_stopped() {
    for name in golden_models() {
        let model = open_f64(&name);
        let tokens = tokens(&model, 2, 40);
        let whole = logits(&model, &tokens);
        let mut cache = Cache::new();
        let mut from = 0;
        for length in [1, 7, 1, 1, 30] {
            let part: Vec<u32> =
                tokens.ids().chunks(40).flat_map(|row| row[from..from + length].to_vec()).collect();
            let part = Tokens::new(part, 2, length).unwrap();
            let plan = Plan { logits: Logits::All, ..Plan::default() };
            let pass = model.forward_cached(&part, &plan, &mut cache).unwrap();
            let wanted = whole.i((.., from..from + length)).unwrap();
            assert!(distance(&pass.logits.unwrap(), &wanted) < 1e-12);
            from += length;
            assert_eq!(cache.positions(), from);
        }
    }
}

/// In f32 a position at a time takes the faster form; stretches and single positions may follow
/// one another, and rows may be left out or doubled on the way.
#[test]
fn one_position_at_a_time_is_the_same_pass() {
    for name in golden_models() {
        let (model, exact) = (open(&name), open_f64(&name));
        let tokens = tokens(&model, 3, 40);
        let sites = Site::all(model.config().layers);
        let change: [(Site, &dyn Change); 2] = [(Site::Embed, &Double), (Site::Attn(1), &Double)];
        for change in [&[][..], &change] {
            let plan = Plan { read: &sites, change, logits: Logits::All, ..Plan::default() };
            let whole = exact.forward(&tokens, &plan).unwrap();
            let mut cache = Cache::new();
            let mut rows = vec![0, 1, 2];
            let mut from = 0;
            for (step, length) in [1, 1, 5, 1, 1, 3].into_iter().chain([1; 28]).enumerate() {
                let kept = match step {
                    4 => vec![2, 0, 0],
                    20 => vec![1],
                    _ => (0..rows.len()).collect(),
                };
                if step > 0 {
                    cache.select(&kept).unwrap();
                }
                rows = kept.into_iter().map(|row| rows[row]).collect();
                let part = |row: &usize| tokens.ids()[row * 40 + from..][..length].to_vec();
                let part: Vec<Vec<u32>> = rows.iter().map(part).collect();
                let part = Tokens::rows(&part).unwrap();
                let pass = model.forward_cached(&part, &plan, &mut cache).unwrap();
                let pick = Tensor::new(
                    rows.iter().map(|row| *row as u32).collect::<Vec<_>>(),
                    model.device(),
                )
                .unwrap();
                let wanted =
                    |x: &Tensor| x.index_select(&pick, 0).unwrap().narrow(1, from, length).unwrap();
                let logits = whole.logits.as_ref().unwrap();
                let scale = if change.is_empty() { 1.0 } else { 4.0 };
                assert!(distance(&pass.logits.unwrap(), &wanted(logits)) < 2e-5 * scale);
                for site in &sites {
                    assert!(
                        distance(&pass.sites[site], &wanted(&whole.sites[site])) < 2e-5 * scale,
                        "{name} {site}"
                    );
                }
                from += length;
                assert_eq!(cache.positions(), from);
            }
            assert!(cache.select(&[1]).is_err());
        }
    }
}

#[test]
fn a_change_is_told_its_position_in_the_text() {
    struct Positions(RefCell<Vec<(usize, usize)>>);
    impl Change for Positions {
        fn apply(&self, x: &Tensor, first: usize) -> Result<Tensor> {
            self.0.borrow_mut().push((first, x.dim(1)?));
            Ok(x.clone())
        }
    }
    let model = open("llama_a");
    let seen = Positions(RefCell::new(Vec::new()));
    let change: [(Site, &dyn Change); 1] = [(Site::Resid(1), &seen)];
    let how = Generation { tokens: 3, change: &change, ..Generation::default() };
    let written = model.generate(&[1, 5, 9], &how, &mut |_| Ok(())).unwrap();
    assert_eq!(seen.0.borrow()[..written.len()], [(0, 3), (3, 1), (4, 1)][..written.len()]);
}

#[test]
fn generation_is_reproducible_and_ends_with_the_context() {
    let model = open("llama_a");
    let how = |seed| Generation {
        tokens: 1000,
        sampling: Sampling::TopP { p: 0.95, temperature: 1.0 },
        seed,
        ..Generation::default()
    };
    let write = |seed| model.generate(&[1, 5, 9], &how(seed), &mut |_| Ok(())).unwrap();
    assert_eq!(write(1), write(1));
    assert_ne!(write(1), write(2));
    assert!(write(1).len() <= model.config().context - 3);
    let cold = Generation { sampling: Sampling::All { temperature: 0.0 }, ..Generation::default() };
    assert!(model.generate(&[1], &cold, &mut |_| Ok(())).is_err());
}

#[test]
fn tokens_and_sites_the_model_does_not_have_are_refused() {
    let model = open("llama_a");
    let plan = Plan { logits: Logits::Last, ..Plan::default() };
    let error = |ids: &[u32], plan: &Plan<'_>| {
        model.forward(&Tokens::row(ids).unwrap(), plan).unwrap_err().to_string()
    };
    assert!(error(&[101], &plan).contains("0 to 100"));
    assert!(error(&[1; 257], &plan).contains("256 positions"));
    let beyond = Plan { read: &[Site::Resid(2)], ..Plan::default() };
    assert!(error(&[1], &beyond).contains("resid.2"));
    assert!(Tokens::row(&[]).is_err());
    assert!(Tokens::new(vec![1, 2, 3], 2, 2).is_err());
    assert!(Tokens::rows(&[vec![1, 2], vec![3]]).is_err());
    assert!(Tokens::padded::<Vec<u32>>(&[], 0).is_err());
}

/// candle-transformers' own Llama, on the same weights.
#[test]
fn logits_are_those_of_candle_transformers() {
    use candle_transformers::models::llama as theirs;
    for name in golden_models() {
        let model = open(&name);
        let c = model.config();
        let json = serde_json::to_vec(&c.to_json("float32")).unwrap();
        let config: theirs::LlamaConfig = serde_json::from_slice(&json).unwrap();
        let config = config.into_config(false);
        let weights = model.weights().unwrap().into_iter().collect();
        let device = candle_core::Device::Cpu;
        let vars = candle_nn::VarBuilder::from_tensors(weights, DType::F32, &device);
        let their_model = theirs::Llama::load(vars, &config).unwrap();
        let mut cache = theirs::Cache::new(false, DType::F32, &config, &device).unwrap();
        let tokens = tokens(&model, 2, 50);
        let ids = Tensor::from_vec(tokens.ids().to_vec(), (2, 50), &device).unwrap();
        let wanted = their_model.forward(&ids, 0, &mut cache).unwrap();
        let plan = Plan { logits: Logits::Last, ..Plan::default() };
        let found = model.forward(&tokens, &plan).unwrap().logits.unwrap();
        assert!(distance(&found, &wanted) < 2e-5, "{name}");
    }
}
