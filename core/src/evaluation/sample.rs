//! The rows that a dictionary is evaluated on.

use crate::corpus::{CorpusSpec, Row, RowSpec, Rows, encoder_of};
use crate::error::{Error, Result};
use crate::llama::{Logits, Model, Site, memory};
use crate::sae::Sae;

/// The seed of the built-in corpus for an evaluation with `seed`: a training, which takes its
/// seed as it is, never reads this text.
pub fn held_out(seed: u64) -> u64 {
    !seed
}

/// Token rows of a corpus until a number of used tokens is reached, many at a time.
pub(crate) struct Sample {
    rows: Rows,
    corpus: String,
    left: u64,
    taken: u64,
}

/// Used tokens handed out at a time, a multiple of the batch.
const BATCHES_AT_ONCE: usize = 8;

impl Sample {
    /// The first `tokens` used tokens of `corpus` after `skip` of them.
    pub fn open(
        model: &Model,
        corpus: &CorpusSpec,
        rows: RowSpec,
        tokens: u64,
        skip: u64,
        seed: u64,
    ) -> Result<Self> {
        let rows = rows.within(model.config().context)?;
        let documents = corpus.open(held_out(seed))?;
        let mut rows = Rows::new(documents, encoder_of(model)?, rows)?;
        let mut skipped = 0;
        while skipped < skip {
            let Some(row) = rows.next_row()? else { break };
            skipped += row.used_tokens() as u64;
        }
        Ok(Self { rows, corpus: corpus.to_string(), left: tokens, taken: 0 })
    }

    /// The next rows; `None` at the end of the sample or of the corpus.
    pub fn next(
        &mut self,
        batch: usize,
        check: &dyn Fn() -> Result<()>,
    ) -> Result<Option<Vec<Row>>> {
        let most = (batch * BATCHES_AT_ONCE) as u64;
        let mut rows = Vec::new();
        let mut held = 0;
        while self.left > 0 && held < most {
            if rows.len() % 64 == 0 {
                check()?;
            }
            let Some(row) = self.rows.next_row()? else { break };
            let used = row.used_tokens() as u64;
            held += used;
            self.left = self.left.saturating_sub(used);
            rows.push(row);
        }
        self.taken += held;
        if self.taken == 0 {
            return Err(Error::format(
                format!("The corpus {} gives no tokens", self.corpus),
                "what there is of it, after what was to be passed over, has none",
                "Choose another corpus, or pass over less of it",
            ));
        }
        Ok((!rows.is_empty()).then_some(rows))
    }
}

/// The tokens of a forward pass of about `wanted` whose logits stay below 256 MiB.
pub(crate) fn batch_with_logits(model: &Model, wanted: usize) -> usize {
    wanted.min((64 << 20) / model.config().vocab.max(1)).max(1)
}

/// The site that `sae` is to be looked at on: `wanted`, or the one it was trained on.
///
/// # Errors
/// None is known; the model does not have it; the dictionary's width is another; the dictionary
/// was trained on another model or site and `allow_foreign` does not say that this is meant.
pub fn site_of(
    model: &Model,
    sae: &Sae,
    wanted: Option<Site>,
    allow_foreign: bool,
) -> Result<Site> {
    let trained = sae.about.trained_on.as_ref();
    let site = wanted.or(trained.map(|t| t.site)).ok_or_else(|| {
        Error::setting(
            "The dictionary does not say which site it belongs to",
            "its file holds no word of where it was trained",
            "Name the site, for example resid.2",
        )
    })?;
    site.within(model.config().layers)?;
    let (has, needs) = (model.config().width, sae.width());
    if has != needs {
        return Err(Error::setting(
            "The dictionary does not fit the model",
            format!("it takes activations of width {needs}, and {site} has {has}"),
            "Choose the model that the dictionary was trained on",
        ));
    }
    let Some(trained) = trained.filter(|_| !allow_foreign) else { return Ok(site) };
    let short = |hash: &str| hash.chars().take(12).collect::<String>();
    let foreign = if trained.model != model.hash() {
        format!("model {}, and this is model {}", short(&trained.model), short(model.hash()))
    } else if trained.site != site {
        format!("{}, and this is {site}", trained.site)
    } else {
        return Ok(site);
    };
    Err(Error::setting(
        "The dictionary was trained elsewhere",
        format!(
            "it was trained on {foreign}: its latents would mean nothing here, and every number \
                 would look like a result"
        ),
        "Choose what it was trained on, or allow a foreign dictionary if this is what you want to \
         see (--allow-foreign)",
    ))
}

/// Refuses a pass of such batches that cannot fit.
pub(crate) fn check_memory(
    model: &Model,
    what: &str,
    batch: usize,
    length: usize,
    logits: Logits,
    beside: u64,
) -> Result<()> {
    let length = length.max(1);
    let rows = (batch / length).max(1);
    let pass = memory::pass_bytes(model.config(), rows, length, &[Site::Embed], logits, false);
    memory::check_fits(what, pass.saturating_add(beside), model.device())
}
