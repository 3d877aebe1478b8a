//! What holds for every architecture: scales fold, files come back, senseless numbers are named.

#![allow(clippy::unwrap_used)]

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use sparsescope_core::ErrorKind;
use sparsescope_core::sae::architectures::Running;
use sparsescope_core::sae::engine::{OptimizerState, Parameters, Set};
use sparsescope_core::sae::{About, Architecture, Extra, L0Loss, Matrix, Sae, Wiring};
use sparsescope_core::training::{Compatibility, Counters, TrainConfig, Trainer};

const M: usize = 48;
const D: usize = 10;

fn every_architecture() -> Vec<Architecture> {
    Architecture::NAMES.iter().map(|name| Architecture::named(name, 4).unwrap()).collect()
}

fn normal(rng: &mut ChaCha8Rng, count: usize, size: f32) -> Vec<f32> {
    (0..count).map(|_| rng.sample::<f32, _>(StandardNormal) * size).collect()
}

/// A run at random weights, with these factors on input and output.
fn trainer(config: &TrainConfig, scale: f64, target_scale: f64) -> Trainer {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let shapes = Extra::shapes(&config.architecture, config.wiring, M, D);
    let parameters = Parameters {
        encoder: Matrix::new(M, D, normal(&mut rng, M * D, 0.5)).unwrap(),
        b_enc: normal(&mut rng, M, 0.2),
        decoder: Matrix::new(M, D, normal(&mut rng, M * D, 0.5)).unwrap(),
        b_dec: normal(&mut rng, D, 0.3),
        extra: Extra::made_of(&shapes, |_, shape| {
            let part = normal(&mut rng, shape.iter().product(), 0.3);
            Ok(part.iter().map(|v| v.abs()).collect())
        })
        .unwrap(),
    };
    let optimizer = OptimizerState::new(&parameters);
    let counters = Counters {
        step: 0,
        tokens: 0,
        silent_for: vec![0; M],
        scale,
        target_scale,
        running: Running { threshold: Some(0.8), ..Running::default() },
        rng: ChaCha8Rng::seed_from_u64(0),
    };
    Trainer::with(config, parameters, optimizer, counters).unwrap()
}

fn near(what: &str, got: &[f32], want: &[f32]) {
    assert_eq!(got.len(), want.len(), "{what}");
    let largest = want.iter().fold(0.0f32, |a, b| a.max(b.abs()));
    assert!(largest > 0.0, "{what}: nothing to compare");
    for (g, w) in got.iter().zip(want) {
        assert!((g - w).abs() <= 1e-5 * largest, "{what}: {g}, not {w}");
    }
}

fn times(values: &[f32], factor: f32) -> Vec<f32> {
    values.iter().map(|v| v * factor).collect()
}

#[test]
fn the_dictionary_of_raw_rows_says_what_the_run_says_of_scaled_ones() {
    let wirings = [
        Wiring::Centred,
        Wiring::Plain,
        Wiring::Transcoder { skip: false },
        Wiring::Transcoder { skip: true },
    ];
    let rows = normal(&mut ChaCha8Rng::seed_from_u64(7), 40 * D, 1.0);
    for architecture in every_architecture() {
        for wiring in wirings {
            for free_directions in [false, true] {
                let mut config = TrainConfig::preset(architecture.clone(), M);
                config.wiring = wiring;
                config.compatibility = Compatibility { free_directions, ..Default::default() };
                let name = format!("{} {wiring:?}", architecture.name());
                let transcodes = matches!(wiring, Wiring::Transcoder { .. });
                let (scale, target) = if transcodes { (1.7, 0.4) } else { (1.7, 1.7) };
                let raw = trainer(&config, scale, target).dictionary(About::default());
                let scaled = trainer(&config, 1.0, 1.0).dictionary(About::default());
                raw.validate().unwrap();
                let inner = times(&rows, scale as f32);
                let want = times(&scaled.encode(&inner).unwrap().to_dense(), 1.0 / target as f32);
                near(&name, &raw.encode(&rows).unwrap().to_dense(), &want);
                let want = times(&scaled.reconstruct(&inner).unwrap(), 1.0 / target as f32);
                near(&name, &raw.reconstruct(&rows).unwrap(), &want);
            }
        }
    }
}

#[test]
fn the_dictionary_says_what_the_training_step_saw() {
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    let (x, y) = (normal(&mut rng, 30 * D, 1.0), normal(&mut rng, 30 * D, 1.0));
    for architecture in every_architecture() {
        // Over a batch others may be active than above the threshold.
        if architecture.has_batch_threshold() {
            continue;
        }
        for wiring in [Wiring::Centred, Wiring::Plain, Wiring::Transcoder { skip: true }] {
            let mut config = TrainConfig::preset(architecture.clone(), M);
            config.wiring = wiring;
            let transcodes = matches!(wiring, Wiring::Transcoder { .. });
            let target = if transcodes { &y } else { &x };
            let both = x.chunks(D).zip(y.chunks(D)).flat_map(|(x, y)| [x, y].concat()).collect();
            let rows: Vec<f32> = if transcodes { both } else { x.clone() };
            let mut trainer = trainer(&config, 1.0, 1.0);
            trainer.gradients(&rows, &|| Ok(())).unwrap();
            let sae = trainer.dictionary(About::default());
            let back = sae.reconstruct(&x).unwrap();
            let errors = trainer.engine().errors(Set::Main);
            let want: Vec<f32> = target.iter().zip(errors).map(|(y, e)| y + e).collect();
            near(&format!("{} {wiring:?}", architecture.name()), &back, &want);
        }
    }
}

#[test]
fn what_is_saved_comes_back() {
    for architecture in every_architecture() {
        for wiring in [Wiring::Centred, Wiring::Transcoder { skip: true }] {
            let mut config = TrainConfig::preset(architecture.clone(), M);
            config.wiring = wiring;
            let sae = trainer(&config, 1.3, 1.3).dictionary(About::default());
            let dir = tempfile::tempdir().unwrap();
            sae.save(dir.path()).unwrap();
            let back = Sae::load(dir.path()).unwrap();
            assert_eq!(back, sae);
            assert_eq!(back.hash(), sae.hash());
            for (name, _) in sae.extra.parts() {
                assert_ne!(hash_without(&sae, name), sae.hash(), "{name} is not in the hash");
            }
            let mut without = sae.clone();
            without.extra = Extra::default();
            assert_eq!(without.save(dir.path()).is_ok(), sae.extra.parts().is_empty());
        }
    }
}

/// The hash of `sae` with the part called `name` changed.
fn hash_without(sae: &Sae, name: &str) -> String {
    let mut other = sae.clone();
    other.extra.parts_mut().into_iter().filter(|(n, _)| *n == name).for_each(|(_, p)| p[0] += 1.0);
    other.hash()
}

#[test]
fn names_lead_back_to_what_they_name() {
    for name in Architecture::NAMES {
        let architecture = Architecture::named(name, 8).unwrap();
        assert_eq!(architecture.name(), name);
        architecture.validate(64).unwrap();
        assert_eq!(architecture.k().is_some(), !architecture.has_sparsity_coefficient());
        let text = serde_json::to_string(&architecture).unwrap();
        assert_eq!(serde_json::from_str::<Architecture>(&text).unwrap(), architecture);
    }
    let error = Architecture::named("tipk", 8).unwrap_err();
    assert!(error.to_string().contains("batchtopk"), "{error}");
}

#[test]
fn senseless_numbers_are_named() {
    let jump = |loss, bandwidth| Architecture::JumpRelu { loss, bandwidth };
    let target = |target| jump(L0Loss::Quadratic { target }, 0.1);
    let nested = |groups: &[f64], weights: &[f64]| Architecture::Matryoshka {
        k: 4,
        groups: groups.to_vec(),
        weights: weights.to_vec(),
    };
    let anneal = |p_end, from, updates| Architecture::PAnneal {
        norm: Default::default(),
        p_end,
        from,
        updates,
    };
    let cases = [
        ("k = 49", Architecture::BatchTopK { k: 49 }),
        ("k = 0", Architecture::BatchTopK { k: 0 }),
        ("k = 0", Architecture::GroupMax { k: 0 }),
        ("k = 49", Architecture::MultiTopK { k: 49 }),
        ("no multiple of k = 5", Architecture::GroupMax { k: 5 }),
        ("k = 0", Architecture::Matryoshka { k: 0, groups: vec![1.0], weights: vec![] }),
        ("target L0", target(0.0)),
        ("target L0", target(-3.0)),
        ("target L0", target(48.5)),
        ("target L0", target(f64::NAN)),
        ("target L0", target(f64::INFINITY)),
        ("bandwidth", jump(L0Loss::Step, 0.0)),
        ("bandwidth", jump(L0Loss::Step, f64::NAN)),
        ("tanh scale", jump(L0Loss::Tanh { scale: -1.0 }, 0.1)),
        ("groups", nested(&[], &[])),
        ("groups", nested(&[0.5, -0.5, 1.0], &[])),
        ("groups", nested(&[0.5, f64::NAN], &[])),
        ("add up to 0.75", nested(&[0.25, 0.5], &[])),
        ("would have none", nested(&[0.001, 0.999], &[])),
        ("2 weights for 1 groups", nested(&[1.0], &[1.0, 2.0])),
        ("weights", nested(&[0.5, 0.5], &[-1.0, 2.0])),
        ("weights", nested(&[0.5, 0.5], &[0.0, 0.0])),
        ("p_end", anneal(1.5, 0.1, 5)),
        ("p_end", anneal(f64::NAN, 0.1, 5)),
        ("from", anneal(0.5, 1.0, 5)),
        ("updates", anneal(0.5, 0.1, 0)),
    ];
    for (name, architecture) in cases {
        let error = architecture.validate(M).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Setting);
        assert!(error.to_string().contains(name), "{error} does not name {name}");
        assert!(!error.remedy.is_empty());
        let config = TrainConfig::preset(architecture.clone(), M);
        assert!(Trainer::new(&config, D, &[0.5; 8 * D]).is_err());
    }
    for architecture in every_architecture() {
        assert!(architecture.validate(0).unwrap_err().to_string().contains("latents"));
        let mut config = TrainConfig::preset(architecture, M);
        config.l1 = -0.1;
        assert!(config.validate(D).unwrap_err().to_string().contains("l1"));
    }
}

#[test]
fn rows_that_do_not_fit_are_refused() {
    let mut config = TrainConfig::preset(Architecture::Gated, M);
    config.wiring = Wiring::Transcoder { skip: true };
    let mut trainer = trainer(&config, 1.0, 1.0);
    assert_eq!(trainer.row_width(), 2 * D);
    let error = trainer.step(&[1.0; 3 * D], &|| Ok(())).unwrap_err();
    assert!(error.to_string().contains("width 20"), "{error}");
    assert!(trainer.step(&[], &|| Ok(())).is_err());
    let mut rows = vec![0.5; 4 * D];
    rows[25] = f32::NAN;
    let error = trainer.step(&rows, &|| Ok(())).unwrap_err();
    assert!(error.why.contains("row 1") && error.why.contains("NaN"), "{error}");
}

/// One latent that reads the first coordinate and writes it to the first.
fn one_latent(theta: f32) -> Trainer {
    let mut config =
        TrainConfig::preset(Architecture::JumpRelu { loss: L0Loss::Step, bandwidth: 0.2 }, 1);
    (config.l1, config.sparsity_warmup_steps, config.aux_weight) = (0.5, 0, 0.0);
    let parameters = Parameters {
        encoder: Matrix::new(1, 2, vec![1.0, 0.0]).unwrap(),
        b_enc: vec![0.0],
        decoder: Matrix::new(1, 2, vec![1.0, 0.0]).unwrap(),
        b_dec: vec![0.0; 2],
        extra: Extra { threshold: vec![theta], ..Extra::default() },
    };
    let optimizer = OptimizerState::new(&parameters);
    let counters = Counters {
        step: 0,
        tokens: 0,
        silent_for: vec![0],
        scale: 1.0,
        target_scale: 1.0,
        running: Running::default(),
        rng: ChaCha8Rng::seed_from_u64(0),
    };
    Trainer::with(&config, parameters, optimizer, counters).unwrap()
}

#[test]
fn a_threshold_feels_both_sides_of_its_window_and_nothing_beyond() {
    let theta = 0.5;
    let slope = |z: f32, on_f: bool| {
        let mut trainer = one_latent(theta);
        if on_f {
            let mut config = trainer.config().clone();
            config.compatibility.jumprelu_window_on_f = true;
            let (parameters, optimizer) =
                (trainer.parameters().clone(), trainer.optimizer().clone());
            let counters = trainer.counters().clone();
            trainer = Trainer::with(&config, parameters, optimizer, counters).unwrap();
        }
        trainer.gradients(&[z, 0.0], &|| Ok(())).unwrap();
        trainer.engine().gradients().extra.threshold[0]
    };
    // ∂L/∂f = 2 (f - z): 0 above, where f = z, and -2 z below, where f = 0; λ = 0.5, ε = 0.2.
    let step = -0.5 / 0.2;
    assert!((slope(0.55, false) - step).abs() < 1e-5);
    assert!((slope(0.45, false) - (step + 0.5 / 0.2 * 2.0 * 0.45)).abs() < 1e-5);
    assert_eq!(slope(0.61, false), 0.0);
    assert_eq!(slope(0.39, false), 0.0);
    // With the activation in place of z the lower half is lost.
    assert!((slope(0.55, true) - step).abs() < 1e-5);
    assert!((slope(0.45, true) - 0.5 / 0.2 * 2.0 * 0.45).abs() < 1e-5);
}

#[test]
fn gates_do_not_train_the_decoder() {
    let mut config = TrainConfig::preset(Architecture::Gated, M);
    (config.l1, config.sparsity_warmup_steps) = (0.3, 0);
    let rows = normal(&mut ChaCha8Rng::seed_from_u64(3), 30 * D, 1.0);
    for (frozen, switch) in [(true, false), (false, true)] {
        config.compatibility.gated_decoder_not_frozen = switch;
        let mut parameters = trainer(&config, 1.0, 1.0).parameters().clone();
        // Gates open, magnitudes do not: what is left is the auxiliary reconstruction.
        parameters.extra.b_mag.fill(-1e3);
        let (optimizer, counters) = {
            let made = trainer(&config, 1.0, 1.0);
            (made.optimizer().clone(), made.counters().clone())
        };
        let mut trainer = Trainer::with(&config, parameters, optimizer, counters).unwrap();
        let losses = trainer.gradients(&rows, &|| Ok(())).unwrap();
        assert!(losses.second > 0.0 && losses.sparsity > 0.0);
        let gradients = trainer.engine().gradients();
        assert_eq!(gradients.decoder.data().iter().all(|g| *g == 0.0), frozen);
        assert!(gradients.b_enc.iter().any(|g| *g != 0.0));
        assert!(gradients.extra.r_mag.iter().all(|g| *g == 0.0));
    }
}
