//! AuxK brings artificially dead latents back; without it they stay dead.

#![allow(clippy::unwrap_used)]

use rand::seq::index::sample;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use sparsescope_core::sae::Architecture;
use sparsescope_core::training::{TrainConfig, Trainer};

const WIDTH: usize = 32;
const TRUE_LATENTS: usize = 128;

/// Sums of four of [`TRUE_LATENTS`] directions, with strengths between 0.5 and 1.5.
fn rows(directions: &[f32], n: usize, rng: &mut ChaCha8Rng) -> Vec<f32> {
    let mut out = vec![0.0; n * WIDTH];
    for row in out.chunks_mut(WIDTH) {
        for latent in sample(rng, TRUE_LATENTS, 4) {
            let strength: f32 = rng.random_range(0.5..1.5);
            let direction = &directions[latent * WIDTH..][..WIDTH];
            row.iter_mut().zip(direction).for_each(|(x, d)| *x += strength * d);
        }
    }
    out
}

/// Share of dead latents after 600 steps of which 40 % of the latents begin dead.
fn dead_at_the_end(aux_weight: f64) -> f64 {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let directions: Vec<f32> =
        (0..TRUE_LATENTS * WIDTH).map(|_| rng.sample(StandardNormal)).collect();
    let mut config = TrainConfig::preset(Architecture::TopK { k: 4 }, 160);
    (config.batch, config.tokens, config.lr) = (256, 256 * 600, 3e-3);
    (config.dead_after, config.aux_weight, config.start.dead) = (20_000, aux_weight, 0.4);
    let mut trainer = Trainer::new(&config, WIDTH, &rows(&directions, 256, &mut rng)).unwrap();
    assert_eq!(trainer.dead_share(), 0.4);
    for _ in 0..600 {
        trainer.step(&rows(&directions, 256, &mut rng), &|| Ok(())).unwrap();
    }
    trainer.dead_share()
}

#[test]
fn auxk_revives_forty_percent_dead_latents() {
    let (with, without) = (dead_at_the_end(1.0 / 32.0), dead_at_the_end(0.0));
    assert!(with < 0.05, "{with} of the latents are still dead");
    assert!(without > 0.3, "only {without} are dead without AuxK: nothing had to be revived");
}
