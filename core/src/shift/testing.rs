//! Texts, a model and dictionaries that are small enough for slow oracles.

use super::{Data, Item, Split, SplitSpec, Text};
use crate::activations::testing::{tiny_model, tiny_sae};
use crate::circuits::Bases;
use crate::llama::{Model, Site};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Everything that a step needs.
pub(super) struct World {
    pub model: Model,
    pub bases: Bases,
    pub data: Data,
    pub split: Split,
}

/// Texts of words of which one tells the label (`w1`, `w2`) and others the spurious value (`w3`,
/// `w4`, several times), for a model of two blocks with dictionaries at three sites.
pub(super) fn world() -> World {
    let model = tiny_model();
    let sites: Vec<Site> =
        ["embed", "mlp.0", "resid.0"].iter().map(|s| s.parse().unwrap()).collect();
    let sae = Arc::new(tiny_sae(&[16, 24]));
    let dictionaries = sites.iter().map(|site| (*site, sae.clone())).collect();
    let bases = Bases::new(&model, &sites, &dictionaries).unwrap();
    let data = data(160);
    let spec = SplitSpec { ambiguous: 20, balanced_train: 8, balanced_test: 10, seed: 1 };
    let split = Split::new(&model, &data, &spec).unwrap();
    World { model, bases, data, split }
}

/// `texts` such texts, all four groups alike.
pub(super) fn data(texts: usize) -> Data {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let items = (0..texts)
        .map(|i| {
            let (label, spurious) = (i % 2, i / 2 % 2);
            let mut words = vec![format!("w{}", 1 + label)];
            words.extend((0..3).map(|_| format!("w{}", 3 + spurious)));
            let others = rng.random_range(2..9);
            words.extend((0..others).map(|_| format!("w{}", rng.random_range(5..40))));
            Item { text: words.join(" "), label, spurious }
        })
        .collect();
    Data {
        label_name: "kind".into(),
        labels: ["one".into(), "two".into()],
        spurious_name: "side".into(),
        spurious: ["three".into(), "four".into()],
        pairing: "given".into(),
        items,
        left_out: BTreeMap::new(),
    }
}

/// The output of `site` for one text alone under `change`, `[positions, width]`.
pub(super) fn alone(
    model: &Model,
    text: &Text,
    site: Site,
    change: &[(Site, &dyn crate::llama::Change)],
) -> Vec<Vec<f64>> {
    use crate::llama::{Plan, Tokens};
    let plan = Plan { read: &[site], change, ..Plan::default() };
    let pass = model.forward(&Tokens::row(&text.tokens).unwrap(), &plan).unwrap();
    let x = crate::activations::site_output(&pass, site).unwrap();
    let width = model.config().width;
    x.chunks_exact(width).map(|row| row.iter().map(|x| f64::from(*x)).collect()).collect()
}
