//! The cases of SAELens.

use super::support::{Case, json};
use serde_json::Value;
use sparsescope_core::sae::architectures::Losses;
use sparsescope_core::sae::engine::Engine;
use sparsescope_core::sae::{Architecture, L0Loss, L1Penalty};
use sparsescope_core::training::{Compatibility, Schedule, ThresholdMean, TrainConfig};

fn architecture(full: &Value) -> Architecture {
    let k = || full["k"].as_u64().unwrap() as usize;
    let number = |name: &str| full[name].as_f64().unwrap();
    match full["architecture"].as_str().unwrap() {
        "standard" => {
            assert_eq!(number("lp_norm"), 1.0, "another norm than L1 is not known");
            Architecture::Standard { penalty: L1Penalty::DecoderNorm }
        }
        "gated" => Architecture::Gated,
        "jumprelu" => Architecture::JumpRelu {
            loss: match full["jumprelu_sparsity_loss_mode"].as_str().unwrap() {
                "step" => L0Loss::Step,
                "tanh" => L0Loss::Tanh { scale: number("jumprelu_tanh_scale") },
                other => panic!("the JumpReLU loss {other} is not known"),
            },
            bandwidth: number("jumprelu_bandwidth"),
        },
        "topk" => Architecture::TopK { k: k() },
        "batchtopk" => Architecture::BatchTopK { k: k() },
        "matryoshka_batchtopk" => {
            let ends = full["matryoshka_widths"].as_array().unwrap();
            let ends: Vec<f64> = ends.iter().map(|v| v.as_f64().unwrap()).collect();
            let latents = number("d_sae");
            let starts = std::iter::once(0.0).chain(ends.iter().copied());
            Architecture::Matryoshka {
                k: k(),
                groups: ends
                    .iter()
                    .zip(starts)
                    .map(|(end, start)| (end - start) / latents)
                    .collect(),
                weights: vec![1.0; ends.len()],
            }
        }
        other => panic!("the case of {other} is not known"),
    }
}

fn config(case: &Case, whole: &Value) -> TrainConfig {
    let full = &case.about["full_config"];
    let number = |name: &str| full[name].as_f64();
    let whole_number = |name: &str| full[name].as_u64();
    assert_eq!(full["apply_b_dec_to_input"], true, "{}", case.name);
    let latents = whole_number("d_sae").unwrap() as usize;
    let mut config = TrainConfig::preset(architecture(full), latents);
    config.batch = case.rows();
    config.tokens = 100 * case.rows() as u64;
    config.lr = 1e-3;
    config.schedule = Schedule::Constant;
    config.warmup_steps = 3;
    config.l1 = number("l1_coefficient").or(number("l0_coefficient")).unwrap_or(0.0);
    let warmup = whole_number("l1_warm_up_steps").or(whole_number("l0_warm_up_steps"));
    config.sparsity_warmup_steps = warmup.unwrap_or(0);
    config.dead_after = whole["dead_feature_window"].as_u64().unwrap() * case.rows() as u64;
    let aux = number("aux_loss_coefficient").or(number("pre_act_loss_coefficient"));
    config.aux_weight = aux.unwrap_or(0.0);
    config.clip = Some(1.0);
    config.betas = (0.9, 0.999);
    config.normalize = false;
    if let Some(rate) = number("topk_threshold_lr") {
        config.threshold = ThresholdMean { keep: 1.0 - rate, after: 0 };
    }
    if let Some(rescale) = full["rescale_acts_by_decoder_norm"].as_bool() {
        assert!(rescale, "{}: activations that are not rescaled are not known", case.name);
    }
    config.compatibility = Compatibility {
        sparsity_warmup_from_zero: true,
        free_directions: true,
        gated_decoder_not_frozen: true,
        aux_of_saelens: true,
        threshold_from_zero: true,
        ..Compatibility::default()
    };
    config
}

/// Every addend that the library logged, each with its coefficient.
fn near_losses(
    case: &Case,
    what: &str,
    l1: f64,
    aux_weight: f64,
    got: &Losses,
    engine: &dyn Engine,
    want: &Value,
) {
    let ends = case.about["full_config"]["matryoshka_widths"].as_array();
    for (name, value) in want.as_object().unwrap() {
        let inner = name.strip_prefix("inner_mse_loss_").map(|end| {
            let place = ends.unwrap().iter().position(|e| e.as_u64() == end.parse().ok()).unwrap();
            engine.nested_squares()[place] / case.rows() as f64
        });
        let got = match name.as_str() {
            _ if inner.is_some() => inner.unwrap(),
            "loss" => got.total,
            "mse_loss" => got.mse,
            "l1_loss" | "l0_loss" => l1 * got.sparsity,
            "pre_act_loss" => aux_weight * got.aux,
            "auxiliary_reconstruction_loss" if got.second > 0.0 => got.second,
            "auxiliary_reconstruction_loss" => aux_weight * got.aux,
            other => panic!("{}: what is {other}?", case.name),
        };
        case.near_number(&format!("{what} {name}"), got, value);
    }
}

fn check_start(case: &Case, config: &TrainConfig, dead: usize) {
    let used = &case.about["coefficients_used_in_fwd"];
    let coefficient = used["l1"].as_f64().or(used["l0"].as_f64()).unwrap_or(0.0);
    let config = TrainConfig { l1: coefficient, sparsity_warmup_steps: 0, ..config.clone() };
    let mut trainer = case.trainer(&config, 0, dead);
    let losses = trainer.gradients(&case.batch(0), &|| Ok(())).unwrap();
    case.near_number("loss", losses.total, &case.about["loss"]);
    let aux = config.aux_weight;
    let want = &case.about["losses"];
    near_losses(case, "start", coefficient, aux, &losses, trainer.engine(), want);
    case.near_parts("gradient of", &trainer.engine().gradients(), "grad.", true);
    if config.architecture.has_batch_threshold() {
        case.near_engine(&trainer, true);
    } else {
        case.near_dictionary(&trainer, "fwd.");
    }
}

fn check_updates(case: &Case, config: &TrainConfig, dead: usize) {
    let mut trainer = case.trainer(config, 0, dead);
    for step in 1..=5 {
        let report = trainer.step(&case.batch(step), &|| Ok(())).unwrap();
        let logged = &case.about["losses_of_steps1to5"][step - 1];
        let (l1, what) = (config.l1_at(step as u64), format!("update {step}"));
        let aux = config.aux_weight;
        near_losses(case, &what, l1, aux, &report.losses, trainer.engine(), logged);
    }
    case.near_parts("step5.", trainer.parameters(), "step5.", false);
    if let Some((_, want)) = case.find("step5.buffer.topk_threshold") {
        let threshold = trainer.counters().running.threshold.unwrap();
        case.near("threshold", &[threshold as f32], want, true);
    }
}

#[test]
fn every_case_of_saelens() {
    let whole = json("saelens.json");
    let cases = whole["cases"].as_object().unwrap();
    assert!(!cases.is_empty());
    for (name, about) in cases {
        let case = Case::read("saelens", name, about);
        let config = config(&case, &whole);
        let has_dead = name.ends_with("_aux") || name.starts_with("jumprelu");
        let dead = if has_dead { whole["dead"].as_u64().unwrap() as usize } else { 0 };
        check_start(&case, &config, dead);
        check_updates(&case, &config, dead);
    }
}
