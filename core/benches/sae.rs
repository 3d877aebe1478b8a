//! Steps of training and encoding; `cargo bench --workspace --bench sae`.

use divan::counter::ItemsCount;
use sparsescope_core::sae::{Architecture, L1Penalty};
use sparsescope_core::training::{TrainConfig, Trainer};

fn main() {
    divan::main();
}

/// Width, latents, batch.
const SHAPES: [(usize, usize, usize); 2] = [(64, 1024, 2048), (288, 2304, 2048)];

fn rows(count: usize) -> Vec<f32> {
    (0..count).map(|i| ((i as f32) * 0.618).sin() + ((i as f32) * 1.7).cos()).collect()
}

fn step(bencher: divan::Bencher<'_, '_>, shape: (usize, usize, usize), kind: Architecture) {
    let (width, latents, batch) = shape;
    let mut config = TrainConfig::preset(kind, latents);
    config.batch = batch;
    let x = rows(width * batch);
    let mut trainer = Trainer::new(&config, width, &x).expect("the settings make sense");
    bencher
        .counter(ItemsCount::new(batch))
        .bench_local(|| trainer.step(&x, &|| Ok(())).expect("the rows are finite"));
}

#[divan::bench(args = SHAPES, sample_count = 10)]
fn step_topk(bencher: divan::Bencher<'_, '_>, shape: (usize, usize, usize)) {
    step(bencher, shape, Architecture::TopK { k: 32 });
}

#[divan::bench(args = SHAPES, sample_count = 10)]
fn step_standard(bencher: divan::Bencher<'_, '_>, shape: (usize, usize, usize)) {
    step(bencher, shape, Architecture::Standard { penalty: L1Penalty::UnitNorm });
}
