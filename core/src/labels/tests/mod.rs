//! Labelling against a real server on loopback. Nothing waits: the clock goes when it is waited for.

mod batches;
mod direct;
mod planning;
mod server;

use super::examples::{Counts, split};
use super::plan::prepared;
use super::prompts::Material;
use super::search_tests::workspace_with;
use super::*;
use crate::features::Context;
use crate::jobs::JobContext;
use crate::workspace::{SaeId, Workspace};
use crate::{Error, Result};
use server::Server;
use tempfile::TempDir;

/// A name of a key that no other test uses.
const KEY_NAME: &str = "SPARSESCOPE_TEST_KEY";
const KEY: &str = "sk-test-5f3a9c0d7e";

struct Bench {
    folder: TempDir,
    workspace: Workspace,
    sae: SaeId,
}

impl Bench {
    fn new() -> Self {
        let (folder, workspace, sae) = workspace_with(64);
        Self { folder, workspace, sae }
    }

    fn request(&self, protocol: Protocol, url: &str, latents: &[u32]) -> LabelRequest {
        LabelRequest {
            sae: self.sae,
            latents: latents.to_vec(),
            endpoint: Endpoint {
                protocol,
                url: url.into(),
                model: "labeller-1".into(),
                key: KeySource::None,
            },
            delivery: Delivery::Direct,
            limits: Limits { at_once: 3, patience: 20, ..Limits::default() },
            counts: Counts { shown: 6, fires: 8, silent: 8, per_question: 4 },
            judge: true,
            seed: 0,
        }
    }

    fn prepare(&self, request: &LabelRequest) -> Prepared {
        let material = request.latents.iter().map(|&l| material(l, &request.counts)).collect();
        prepared(&self.workspace, request, material, Vec::new()).unwrap()
    }

    /// Confirms and begins.
    fn begin(&mut self, request: &LabelRequest) -> LabelRunId {
        let prepared = self.prepare(request);
        let agreed = match prepared.estimate().cost {
            Some(cost) => Agreed::Amount(cost),
            None => Agreed::UnknownPrice,
        };
        let confirmed = prepared.estimate().confirm(agreed).unwrap();
        begin(&mut self.workspace, &prepared, &confirmed).unwrap()
    }

    fn run(&mut self, id: LabelRunId) -> Result<Labelled> {
        run(&JobContext::unwatched(), &mut self.workspace, id, &IdleClock::default())
    }

    fn view(&self, id: LabelRunId) -> RunView {
        view(&self.workspace, id).unwrap()
    }
}

/// Latent n fires on the word `alpha<n>x`, which stands in no other text.
fn material(latent: u32, counts: &Counts) -> Material {
    let context = |document: u64, word: &str, peak: f32| {
        let text = format!("Text |{document} |tells |of |{word} |and |{} |things", document % 7);
        let tokens: Vec<String> = text.split('|').map(str::to_owned).collect();
        let activations = (0..tokens.len()).map(|i| if i == 4 { peak } else { 0.0 }).collect();
        Context { document, tokens, activations, peak: 4, ..Context::default() }
    };
    let word = format!("alpha{latent}x");
    let fires: Vec<_> = (0..20).map(|d| context(d, &word, 1.0 + d as f32)).collect();
    let silent: Vec<_> = (100..120).map(|d| context(d, "nothing", 0.0)).collect();
    let split = split(&fires, &silent, counts, 0).unwrap();
    assert_eq!((split.shown.len(), split.fires.len(), split.silent.len()), (6, 8, 8));
    Material::new(latent, &split, counts.per_question, 0)
}

/// Questions about one latent: one label, four of detection, two of fuzzing.
const EACH: usize = 7;

fn text_of(error: &Error) -> String {
    format!("{error} {error:?}")
}
