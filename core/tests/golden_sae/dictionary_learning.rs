//! The cases of dictionary_learning.

use super::support::{Case, json};
use serde_json::Value;
use sparsescope_core::sae::architectures::Losses;
use sparsescope_core::sae::engine::Engine;
use sparsescope_core::sae::{About, Architecture, L0Loss, L1Penalty, Wiring};
use sparsescope_core::training::{
    Compatibility, Schedule, ThresholdMean, TrainConfig, geometric_median,
};

fn architecture(about: &Value) -> Architecture {
    let kwargs = &about["kwargs"];
    let k = || kwargs["k"].as_u64().unwrap() as usize;
    let numbers = |name: &str| -> Vec<f64> {
        let list = kwargs[name].as_array().into_iter().flatten();
        list.map(|v| v.as_f64().unwrap()).collect()
    };
    match about["trainer"].as_str().unwrap() {
        "StandardTrainer" => Architecture::Standard { penalty: L1Penalty::UnitNorm },
        "StandardTrainerAprilUpdate" => Architecture::Standard { penalty: L1Penalty::DecoderNorm },
        "GatedSAETrainer" => Architecture::Gated,
        "TopKTrainer" => Architecture::TopK { k: k() },
        "BatchTopKTrainer" => Architecture::BatchTopK { k: k() },
        "JumpReluTrainer" => Architecture::JumpRelu {
            loss: L0Loss::Quadratic { target: kwargs["target_l0"].as_f64().unwrap() },
            bandwidth: kwargs["bandwidth"].as_f64().unwrap(),
        },
        "MatryoshkaBatchTopKTrainer" => Architecture::Matryoshka {
            k: k(),
            groups: numbers("group_fractions"),
            weights: numbers("group_weights"),
        },
        other => panic!("the case of {other} is not known"),
    }
}

fn config(case: &Case) -> TrainConfig {
    let kwargs = &case.about["kwargs"];
    let number = |name: &str| kwargs[name].as_f64();
    let architecture = architecture(&case.about);
    let latents = kwargs["dict_size"].as_u64().unwrap() as usize;
    let mut config = TrainConfig::preset(architecture.clone(), latents);
    config.batch = case.rows();
    config.tokens = case.rows() as u64 * kwargs["steps"].as_u64().unwrap();
    config.lr = number("lr").unwrap();
    config.schedule = Schedule::Constant;
    config.warmup_steps = kwargs["warmup_steps"].as_u64().unwrap();
    config.l1 = number("l1_penalty").or(number("sparsity_penalty")).unwrap_or(0.0);
    config.sparsity_warmup_steps = kwargs["sparsity_warmup_steps"].as_u64().unwrap_or(0);
    config.dead_after = 10_000_000;
    config.aux_weight = number("auxk_alpha").unwrap_or(1.0 / 32.0);
    config.clip = match architecture {
        Architecture::Standard { penalty: L1Penalty::UnitNorm } | Architecture::Gated => None,
        _ => Some(1.0),
    };
    config.normalize = false;
    if let Architecture::JumpRelu { .. } = architecture {
        config.wiring = Wiring::Plain;
        config.aux_weight = 0.0;
    }
    if let Some(after) = kwargs["threshold_start_step"].as_u64() {
        config.threshold = ThresholdMean { keep: number("threshold_beta").unwrap(), after };
    }
    config.compatibility = Compatibility {
        warmup_from_zero: true,
        jumprelu_window_on_f: true,
        matryoshka_divides_twice: true,
        ..Compatibility::default()
    };
    config
}

/// Every addend that the library logged.
fn near_losses(case: &Case, what: &str, got: &Losses, engine: &dyn Engine, want: &Value) {
    let rows = case.rows() as f64;
    let squares = engine.nested_squares();
    let weights = case.about["kwargs"]["group_weights"].as_array();
    let weight = |g: usize| {
        weights.map_or(1.0 / squares.len() as f64, |weights| weights[g].as_f64().unwrap())
    };
    let nested = squares.iter().enumerate().map(|(g, s)| weight(g) * s / rows);
    // The top-k trainers log E‖e‖² as l2_loss, the standard ones E‖e‖, which no loss contains.
    let squared = case.about["trainer"].as_str().is_some_and(|t| !t.starts_with("Standard"));
    for (name, value) in want.as_object().unwrap() {
        let got = match name.as_str() {
            "loss" => got.total,
            "mse_loss" => got.mse,
            "l2_loss" if !squares.is_empty() => nested.clone().sum::<f64>() / squares.len() as f64,
            "l2_loss" if squared => got.mse,
            "l2_loss" => continue,
            "min_l2_loss" => nested.clone().fold(f64::INFINITY, f64::min),
            "max_l2_loss" => nested.clone().fold(0.0, f64::max),
            "sparsity_loss" => got.sparsity,
            "auxk_loss" => got.aux,
            "aux_loss" => got.second,
            other => panic!("{}: what is {other}?", case.name),
        };
        case.near_number(&format!("{what} {name}"), got, value);
    }
}

fn check_start(case: &Case, config: &TrainConfig, dead: usize) {
    let mut trainer = case.trainer(config, 4, dead);
    let losses = trainer.gradients(&case.batch(0), &|| Ok(())).unwrap();
    case.near_number("loss", losses.total, &case.about["loss_step5"]);
    near_losses(case, "step 5", &losses, trainer.engine(), &case.about["losses_step5"]);
    if let Some(dead) = case.about["dead_features_step5"].as_u64() {
        assert_eq!(losses.dead as u64, dead, "{}: dead latents", case.name);
    }
    case.near_parts("gradient of", &trainer.engine().gradients(), "grad.", true);
    let l0 = if config.architecture.has_batch_threshold() {
        case.near_engine(&trainer, false);
        trainer.engine().latents(sparsescope_core::sae::engine::Set::Main).l0()
    } else {
        case.near_dictionary(&trainer, "fwd.");
        trainer.dictionary(About::default()).encode(&case.batch(0)).unwrap().l0()
    };
    case.near_number("L0", l0, &case.about["l0"]);
}

fn check_updates(case: &Case, config: &TrainConfig, dead: usize) {
    let mut trainer = case.trainer(config, 0, dead);
    for step in 1..=5 {
        let report = trainer.step(&case.batch(step), &|| Ok(())).unwrap();
        let logged = &case.about["losses_before_update_steps1to5"][step - 1];
        let what = format!("update {step}");
        near_losses(case, &what, &report.losses, trainer.engine(), logged);
        if step == 1 || step == 5 {
            let prefix = format!("step{step}.");
            case.near_parts(&prefix, trainer.parameters(), &prefix, false);
        }
    }
    let moments = || trainer.optimizer().moments.iter();
    for (moments, (name, want)) in moments().zip(case.parts("adam.exp_avg.")) {
        case.near(&format!("first moment of {name}"), &moments.first, &want, true);
    }
    for (moments, (name, want)) in moments().zip(case.parts("adam.exp_avg_sq.")) {
        case.near(&format!("second moment of {name}"), &moments.second, &want, true);
    }
    if let Some((_, want)) = case.find("step5.num_tokens_since_fired") {
        let got: Vec<f64> = trainer.counters().silent_for.iter().map(|n| *n as f64).collect();
        assert_eq!(&got, want, "{}: counters", case.name);
    }
    if !case.about["threshold_after5"].is_null() {
        let threshold = trainer.counters().running.threshold.unwrap();
        case.near_number("threshold", threshold, &case.about["threshold_after5"]);
    }
    case.near_dictionary(&trainer, "eval.");
}

#[test]
fn every_case_of_dictionary_learning() {
    let whole = json("sae.json");
    let cases = whole["cases"].as_object().unwrap();
    assert!(!cases.is_empty());
    for (name, about) in cases {
        let case = Case::read("sae", name, about);
        let config = config(&case);
        let aux = name.ends_with("_aux");
        let dead = if aux { whole["dead"].as_u64().unwrap() as usize } else { 0 };
        check_start(&case, &config, dead);
        check_updates(&case, &config, dead);
        if let Some((_, want)) = case.find("step0.geometric_median") {
            let got = geometric_median(&case.batch(0), want.len());
            case.near("geometric median", &got, want, true);
        }
    }
}
