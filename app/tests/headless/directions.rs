//! The direction map with something on it.

use super::fixture;
use sparsescope::state::{Compared, Relatives, State};
use sparsescope_core::directions::{
    BestSite, Comparison, CosineBlock, DirectionMap, MapMethod, Match, Pair, Side, TsneSpec,
};
use sparsescope_core::llama::Site;
use sparsescope_core::workspace::{RunStatus, SaeRecord};
use std::sync::Arc;

/// Numbers in [0, 1) that are the same on every machine.
fn noise(i: usize, salt: u64) -> f32 {
    let mut x = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        ^ salt.wrapping_mul(0xd1b5_4a32_d192_ed03);
    for _ in 0..2 {
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x ^= x >> 27;
    }
    (x >> 40) as f32 / (1u64 << 24) as f32
}

fn bell(i: usize, salt: u64) -> f32 {
    (0..4).map(|k| noise(i, salt * 16 + k)).sum::<f32>() - 2.0
}

/// Points in families.
pub fn points(latents: usize) -> Vec<[f32; 2]> {
    (0..latents)
        .map(|i| {
            let family = (noise(i, 1) * noise(i, 2) * 26.0) as usize;
            let (angle, far) =
                (noise(family, 3) * std::f32::consts::TAU, 10.0 + 34.0 * noise(family, 4));
            let wide = 1.5 + 5.0 * noise(family, 5);
            let bend = bell(i, 6) * wide;
            let x = far * angle.cos() + bend;
            let y = far * angle.sin() + bell(i, 7) * wide * 0.6;
            if i % 997 == 5 { [f32::NAN; 2] } else { [x, y] }
        })
        .collect()
}

/// The open SAE with both maps.
pub fn maps(state: &mut State, latents: usize) {
    fixture::features(state);
    state.features.table = Some(fixture::table(latents));
    let id = state.features.sae.as_mut().map(|sae| {
        sae.latents = latents;
        sae.id
    });
    let d = &mut state.directions;
    d.sae = id;
    d.version = 1;
    let near: Vec<[f32; 2]> = (0..latents)
        .map(|i| {
            let r = 0.2 + 0.9 * noise(i, 11).sqrt();
            let a = noise(i, 12) * std::f32::consts::TAU;
            [r * a.cos() * 0.6 + 0.14 * bell(i, 13), r * a.sin() * 0.5 + 0.1 * bell(i, 14)]
        })
        .collect();
    d.pca = Some(Arc::new(DirectionMap {
        method: MapMethod::Pca,
        points: near,
        explained: Some([0.083, 0.047]),
    }));
    d.tsne = Some(Arc::new(DirectionMap {
        method: MapMethod::Tsne(TsneSpec::default()),
        points: points(latents),
        explained: None,
    }));
}

/// Each latent's nearest relative at another site.
pub fn relatives(state: &mut State, latents: usize) {
    let sites = [Site::Resid(0), Site::Mlp(1), Site::Resid(1), Site::Attn(2), Site::Resid(3)];
    let best = |i: usize| {
        let k = (noise(i, 1) * noise(i, 2) * 26.0) as usize;
        let dictionary = (noise(k, 21) * 5.0) as usize;
        Some(BestSite { site: sites[dictionary], dictionary, latent: 3, cosine: 0.7 })
    };
    state.directions.relatives = Some(Arc::new(Relatives {
        among: (0..5).map(|i| (20 + i as i64, sites[i])).collect(),
        best: (0..latents).map(best).collect(),
    }));
}

/// A selection with its heat map.
pub fn selected(state: &mut State) {
    let latents: Vec<u32> = (0..46).map(|i| 60 * i + 9).collect();
    let cosine = |i: usize, j: usize| -> f32 {
        let family = |k: usize| [0, 14, 20, 33, 46].iter().position(|end| k < *end).unwrap_or(0);
        let (low, high) = (i.min(j), i.max(j));
        let wobble = 0.25 * (noise(low * 64 + high, 31) - 0.5);
        match (i == j, family(i) == family(j), family(low) == 1 && family(high) == 3) {
            (true, ..) => 1.0,
            (_, true, _) => 0.55 + wobble,
            (.., true) => -0.5 + wobble,
            _ => 0.08 + wobble,
        }
    };
    let cosines = (0..46).flat_map(|i| (0..46).map(move |j| cosine(i, j))).collect();
    state.directions.selection.clone_from(&latents);
    state.directions.block = Some(Arc::new(CosineBlock { latents, cosines }));
}

/// Two dictionaries against one another.
pub fn compared(state: &mut State, latents: usize) {
    let open = state.features.sae.clone().unwrap();
    let other = SaeRecord {
        id: open.id + 1,
        architecture: "batchtopk".into(),
        status: RunStatus::Done,
        ..open.clone()
    };
    state.train.runs = vec![other.clone(), open.clone()];
    let cosine = |i: usize| (1.02 - 0.95 * (i as f32 / latents as f32).powi(2)).clamp(0.0, 0.998);
    let side = |salt| Side {
        best: (0..latents)
            .map(|i| {
                let latent = ((i * 7919 + salt) % latents) as u32;
                Some(Match { latent, cosine: cosine(i) })
            })
            .collect(),
        mean_max_cosine: 0.713 - 0.001 * salt as f64,
        above_07: 0.581,
        above_09: 0.349,
    };
    let pairs = (0..latents - 200)
        .map(|i| Pair {
            a: (i * 613 % latents) as u32,
            b: (i * 389 % latents) as u32,
            cosine: cosine(i),
            mutual: noise(i, 41) > 0.3 * cosine(latents - 1 - i),
        })
        .collect();
    let found =
        Comparison { a: side(5), b: side(17), mutual: 2114, pairs, mean_pair_cosine: 0.744 };
    let table = state.features.table.clone();
    state.directions.compare.done = Some(Arc::new(Compared {
        a: open.id,
        b: other.id,
        found,
        features_a: table.clone(),
        features_b: table,
    }));
}
