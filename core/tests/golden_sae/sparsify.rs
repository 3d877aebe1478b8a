//! The cases of EleutherAI's sparsify. The library gives no updates.

use super::support::{Case, json};
use serde_json::Value;
use sparsescope_core::sae::{About, Architecture};
use sparsescope_core::training::{Compatibility, TrainConfig};

fn architecture(name: &str, config: &Value, k: usize) -> Architecture {
    for key in config.as_object().unwrap().keys() {
        assert!(["multi_topk", "activation"].contains(&key.as_str()), "{name}: what is {key}?");
    }
    match config["activation"].as_str() {
        None | Some("topk") if config["multi_topk"] == true => Architecture::MultiTopK { k },
        None | Some("topk") => Architecture::TopK { k },
        Some("groupmax") => Architecture::GroupMax { k },
        Some(other) => panic!("the activation {other} is not known"),
    }
}

fn check(case: &Case, architecture: Architecture, dead: usize) {
    let about = &case.about;
    assert_eq!(about["loss_formula"], "fvu + auxk_loss/32 + multi_topk_fvu/8", "{}", case.name);
    let latents = case.start().b_enc.len();
    let mut config = TrainConfig::preset(architecture.clone(), latents);
    (config.batch, config.normalize) = (case.rows(), false);
    (config.dead_after, config.aux_weight) = (10_000_000, 1.0 / 32.0);
    config.compatibility = Compatibility {
        losses_of_sparsify: true,
        aux_skips_encoder: true,
        ..Compatibility::default()
    };
    let mut trainer = case.trainer(&config, 0, dead);
    let losses = trainer.gradients(&case.batch(0), &|| Ok(())).unwrap();
    let variance = trainer.engine().target_variance() / case.rows() as f64;
    case.near_number("loss", losses.total, &about["loss"]);
    case.near_number("fvu", losses.mse / variance, &about["fvu"]);
    case.near_number("auxk_loss", losses.aux, &about["auxk_loss"]);
    case.near_number("multi_topk_fvu", losses.second / variance, &about["multi_topk_fvu"]);
    case.near_parts("gradient of", &trainer.engine().gradients(), "grad.", true);

    // The gradient is projected on its way into Adam: with a decay of 0 and no clipping the
    // first moment is what arrived there.
    config.betas.0 = 0.0;
    config.clip = None;
    let mut trainer = case.trainer(&config, 0, dead);
    trainer.step(&case.batch(0), &|| Ok(())).unwrap();
    let got = &trainer.optimizer().moments[2].first;
    case.near("projected gradient", got, &case.raw("grad_projected.W_dec").1, true);

    // Multi-TopK reports what its second pass, of the 4 k greatest, found.
    let mut sae = case.trainer(&config, 0, dead).dictionary(About::default());
    if let Architecture::MultiTopK { k } = architecture {
        sae.architecture = Architecture::MultiTopK { k: 4 * k };
    }
    let found = sae.encode(&case.batch(0)).unwrap();
    let (shape, acts) = case.raw("fwd.latent_acts");
    let mut want = vec![0.0; shape[0] * latents];
    for (at, (i, f)) in case.raw("fwd.latent_indices").1.iter().zip(acts).enumerate() {
        want[at / shape[1] * latents + *i as usize] = *f;
    }
    case.near("latents", &found.to_dense(), &want, true);
    case.near("x_hat", &sae.decode(&found).unwrap(), &case.raw("fwd.x_hat").1, true);
}

#[test]
fn every_case_of_sparsify() {
    let cases = json("sparsify.json");
    let cases = cases.as_object().unwrap();
    let shared = json("saelens.json");
    let number = |name: &str| shared[name].as_u64().unwrap() as usize;
    assert!(!cases.is_empty());
    for (name, about) in cases {
        let case = Case::read("sparsify", name, about);
        let dead = if name.ends_with("_aux") { number("dead") } else { 0 };
        check(&case, architecture(name, &about["config"], number("k")), dead);
    }
}
