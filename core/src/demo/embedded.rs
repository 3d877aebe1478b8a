//! The built-in model, inside the binary.

use crate::error::Result;
use crate::llama::{Model, TokenizerHandle};
use candle_core::Device;

const CONFIG: &[u8] = include_bytes!("../../assets/demo/config.json");
const TOKENIZER: &[u8] = include_bytes!("../../assets/demo/tokenizer.json");
const WEIGHTS: &[u8] = include_bytes!("../../assets/demo/model.safetensors");

/// The built-in model: a Llama of four blocks that learnt the built-in world, trained by
/// [`super::train_model`] with its default request.
///
/// # Errors
/// None but too little memory, or a device that gives up.
pub fn model(device: &Device) -> Result<Model> {
    Model::from_bytes(CONFIG, WEIGHTS.to_vec(), Some(TOKENIZER), device)
}

/// The built-in model's tokenizer alone.
pub(super) fn tokenizer() -> Result<TokenizerHandle> {
    TokenizerHandle::from_bytes(TOKENIZER, None, Some(super::bpe::BOS), super::bpe::VOCABULARY)
}

#[cfg(test)]
mod tests {
    use super::super::{
        TruthRequest, agreement, check_model, meanings, tokenizer_json, truth_report,
    };
    use super::*;
    use crate::jobs::JobContext;
    use crate::llama::Site;
    use crate::sae::{About, Architecture, Extra, L1Penalty, Matrix, Sae, Wiring};
    use crate::world::AgreementKind;
    use crate::world::Variable;

    #[test]
    fn the_tokenizer_is_the_one_its_code_makes() {
        assert!(
            tokenizer_json() == TOKENIZER,
            "train the model anew: its tokenizer is not this one"
        );
        assert!(WEIGHTS.len() <= 4 << 20);
    }

    #[test]
    fn it_agrees_on_pairs_it_never_saw() {
        let model = model(&Device::Cpu).expect("the built-in model");
        let scores = agreement(&JobContext::<()>::unwatched(), &model, 300, 77).expect("scores");
        for (kind, bar) in [
            (AgreementKind::Simple, 0.99),
            (AgreementKind::AcrossPrepositional, 0.95),
            (AgreementKind::AcrossRelative, 0.95),
            (AgreementKind::WithinRelative, 0.95),
        ] {
            let score = scores[&kind];
            assert!(score.verbs >= 40 && score.share() >= bar, "{kind:?}: {score:?}");
        }
    }

    #[test]
    fn its_loss_is_near_the_entropy_of_the_grammar() {
        let model = model(&Device::Cpu).expect("the built-in model");
        let ctx = JobContext::<()>::unwatched();
        let known = check_model(&ctx, &model, 300, 78).expect("a check");
        // A model cannot know better than the grammar, but for the luck of a sample.
        assert!((-0.01..=0.05).contains(&known.excess), "{known:?}");
    }

    /// A dictionary of each coordinate and its negative, which reconstructs exactly.
    fn coordinates(width: usize) -> Sae {
        let mut signs = Matrix::zeros(2 * width, width);
        for i in 0..width {
            signs.row_mut(i)[i] = 1.0;
            signs.row_mut(width + i)[i] = -1.0;
        }
        Sae {
            architecture: Architecture::Standard { penalty: L1Penalty::UnitNorm },
            encoder: signs.clone(),
            b_enc: vec![0.0; 2 * width],
            decoder: signs,
            b_dec: vec![0.0; width],
            extra: Extra::default(),
            wiring: Wiring::Centred,
            about: About::default(),
        }
    }

    #[test]
    fn the_truth_report_judges_any_dictionary() {
        let model = model(&Device::Cpu).expect("the built-in model");
        let sae = coordinates(model.config().width);
        let request = TruthRequest {
            site: Some(Site::Resid(2)),
            documents: 300,
            allow_foreign: true,
            ..TruthRequest::default()
        };
        let ctx = JobContext::<()>::unwatched();
        let report = truth_report(&ctx, &model, &sae, &request).expect("a report");
        assert_eq!(report.variables.len(), Variable::ALL.len());
        for variable in &report.variables {
            assert!(variable.tokens > 50 && variable.classes.len() >= 2, "{variable:?}");
            for class in &variable.classes {
                assert_eq!(class.probe_latents.len(), 5);
                assert!((0.0..=1.0).contains(&class.sparse_probe_f1));
            }
        }
        // Chance is 0.5: five of 256 coordinates must tell something of the number.
        assert!(report.variables[0].sparse_probe_f1 > 0.6, "{:?}", report.variables[0]);
        for edit in &report.causal.edits {
            assert!(edit.verbs > 100 && edit.pronouns > 20, "{edit:?}");
            assert!(edit.flipped <= edit.verbs && edit.kept <= edit.pronouns);
            assert_eq!(edit.by_number.iter().map(|n| n.0).sum::<usize>(), edit.verbs);
            assert!(edit.verb_shift < 0.0, "an edit of number must cost the verb: {edit:?}");
        }
        // Without a dictionary in between, moving all that differs flips most verbs.
        let whole = report.causal.edits.last().expect("edits");
        assert!(whole.flip_share() > 0.9 && whole.kept_share() > 0.98, "{whole:?}");
        // More latents of an exact dictionary do more, up to about that.
        let curve = &report.causal.curve;
        assert!(curve.last().expect("a point").flipped > curve[0].flipped);
        let again = truth_report(&ctx, &model, &sae, &request).expect("a report");
        assert_eq!(report, again);
        // The meanings of all latents hold the best one of each value, or something it tells better.
        let all = meanings(&ctx, &model, &sae, &request, 0.5).expect("meanings").latents;
        let mut looked_at = 0;
        for class in report.variables.iter().flat_map(|v| &v.classes) {
            if class.best_latent_f1 >= 0.5 {
                looked_at += 1;
                let told = all.iter().find(|m| m.latent == class.best_latent).expect("a meaning");
                assert!(told.f1 >= class.best_latent_f1, "{told:?} {class:?}");
            }
        }
        assert!(looked_at > 3 && all.iter().all(|m| m.f1 >= 0.5));
    }
}
