//! Loss recovered on a small fixed sample, cheap enough to be asked while training.

use super::LossRecovered;
use super::evaluate::loss_of;
use super::loss::{Loss, targets};
use super::sample::{Sample, batch_with_logits, check_memory};
use crate::activations::{Group, groups};
use crate::corpus::{CorpusSpec, Row, RowSpec};
use crate::edits::{Splice, ZeroSite};
use crate::error::{Error, Result};
use crate::llama::{Change, Logits, Model, Site};
use crate::sae::Sae;

/// A fixed sample of rows with the model's loss and that of zero ablation, so that each
/// dictionary costs one pass over it. Its definitions are those of [`super::evaluate`].
pub struct LossProbe {
    model: Model,
    site: Site,
    rows: Vec<Row>,
    batch: usize,
    plain: f64,
    zero: f64,
}

/// What stands at the used tokens.
#[derive(Clone, Copy)]
enum Instead<'a> {
    /// The activation itself.
    Model,
    /// Its reconstruction.
    Decoded(&'a Sae),
    /// Nothing.
    Zero,
}

impl LossProbe {
    /// A probe on the first `tokens` used tokens of `corpus` (some thousand are enough for a
    /// curve); `seed` is that of the built-in corpus, whose text no training reads.
    ///
    /// # Errors
    /// Text that cannot be read, a site that the model does not have, no token with a next one,
    /// too little memory, what `check` returns.
    pub fn new(
        model: &Model,
        site: Site,
        corpus: &CorpusSpec,
        rows: RowSpec,
        tokens: u64,
        seed: u64,
        check: &dyn Fn() -> Result<()>,
    ) -> Result<Self> {
        site.within(model.config().layers)?;
        let batch = batch_with_logits(model, 4096);
        check_memory(model, "measure the loss", batch, rows.length, Logits::All, 0)?;
        let mut sample = Sample::open(model, corpus, rows, tokens, 0, seed)?;
        let mut rows = Vec::new();
        while let Some(more) = sample.next(batch, check)? {
            rows.extend(more);
        }
        let mut probe = Self { model: model.clone(), site, rows, batch, plain: 0.0, zero: 0.0 };
        let plain = probe.pass(Instead::Model, check)?;
        if plain.predictions == 0 {
            return Err(Error::setting(
                "The loss cannot be measured",
                "no row of the sample has a token with another after it",
                "Choose longer rows, or text with longer sentences",
            ));
        }
        probe.plain = plain.mean();
        probe.zero = probe.pass(Instead::Zero, check)?.mean();
        Ok(probe)
    }

    /// The loss recovered by `sae` on the sample.
    ///
    /// # Errors
    /// A dictionary of another width, a NaN, what `check` returns.
    pub fn evaluate(&self, sae: &Sae, check: &dyn Fn() -> Result<()>) -> Result<LossRecovered> {
        let loss = self.pass(Instead::Decoded(sae), check)?;
        Ok(LossRecovered::new(self.plain, loss.mean(), self.zero))
    }

    fn pass(&self, instead: Instead<'_>, check: &dyn Fn() -> Result<()>) -> Result<Loss> {
        let mut total = Loss::default();
        for members in groups(&self.rows, self.batch) {
            check()?;
            let group = Group::new(&self.rows, &members)?;
            let used = group.used();
            let rows = Some(used.as_slice());
            let zero = ZeroSite { rows };
            let splice;
            let change: &[(Site, &dyn Change)] = match instead {
                Instead::Model => &[],
                Instead::Zero => &[(self.site, &zero)],
                Instead::Decoded(sae) => {
                    splice = Splice { sae, rows };
                    &[(self.site, &splice)]
                }
            };
            let pass = group.forward(&self.model, None, change, Logits::All, check)?;
            total.add(loss_of(&self.model, &pass, &targets(&group))?);
        }
        Ok(total)
    }
}
