//! What is to be asked, and what it may cost: worked out before anything is sent.

use super::endpoint::{Endpoint, Prompt, Protocol};
use super::examples::{Counts, split};
use super::pace::Limits;
use super::pool::{Pool, Source};
use super::price::{Price, price_of};
use super::prompts::{LABEL_BYTES, Material};
use crate::error::{Error, IoContext as _, Result};
use crate::features::{Context, FeatureFile};
use crate::jobs::JobContext;
use crate::workspace::{LabelRunId, SaeId, Workspace};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;

/// How requests are sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// One by one; answers come at once.
    #[default]
    Direct,
    /// As batches, answered within a day; the program may be closed meanwhile. The labels are one
    /// batch, what judges them is another.
    Batch,
}

/// What a run of labelling does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LabelRequest {
    /// The dictionary.
    pub sae: SaeId,
    /// The latents.
    pub latents: Vec<u32>,
    /// Whom to ask.
    pub endpoint: Endpoint,
    /// How.
    pub delivery: Delivery,
    /// How fast.
    pub limits: Limits,
    /// How many examples.
    pub counts: Counts,
    /// Whether the labels are judged.
    pub judge: bool,
    /// Seed of the choice of examples.
    pub seed: u64,
}

/// The rule by which tokens are counted before a server says how many they were.
pub const RULE: &str = "Input is counted as one token for every 3 bytes of text and 12 for each \
request, which is more than most tokenizers make of English; output is the most that each request \
allows, about ten times what is usual. What the server bills is counted from its answers, and the \
run stops if that exceeds what was confirmed by a tenth.";

/// Tokens of a text, by [`RULE`].
pub(super) fn tokens_of(prompt: &Prompt) -> u64 {
    ((prompt.system.len() + prompt.user.len()) as u64).div_ceil(3) + 12
}

/// What a run would send and cost at most.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// Latents that are asked about.
    pub latents: usize,
    /// Latents that cannot be, and why.
    pub skipped: Vec<(u32, String)>,
    /// Requests to be sent.
    pub requests: u64,
    /// Tokens to be read, by [`RULE`].
    pub input_tokens: u64,
    /// Tokens to be written at most.
    pub output_tokens: u64,
    /// What the model costs; `None` if nobody entered it.
    pub price: Option<Price>,
    /// US dollars at most; `None` if the price is not known.
    pub cost: Option<f64>,
    /// Least seconds it takes at the limits of requests and tokens a minute; 0 for a batch.
    pub seconds: u64,
    /// Names exactly what was estimated.
    fingerprint: String,
}

/// What a person has agreed to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Agreed {
    /// To pay so many US dollars at most.
    Amount(f64),
    /// To send the tokens of the estimate at a price that nobody entered.
    UnknownPrice,
}

/// An estimate that somebody has seen and agreed to. Nothing is sent without one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Confirmed(Estimate);

impl Estimate {
    /// What is agreed to.
    ///
    /// # Errors
    /// It would cost more than was agreed to, or the price is not known and an amount was named.
    pub fn confirm(&self, agreed: Agreed) -> Result<Confirmed> {
        let what = "Nothing was sent";
        match (agreed, self.cost) {
            (Agreed::Amount(most), Some(cost)) if cost <= most => Ok(Confirmed(self.clone())),
            (Agreed::UnknownPrice, None) => Ok(Confirmed(self.clone())),
            (Agreed::Amount(most), Some(cost)) => Err(Error::setting(
                what,
                format!("it may cost {cost:.4} dollars, and {most:.4} were agreed to"),
                "Agree to more, or choose fewer latents",
            )),
            (Agreed::Amount(_), None) => Err(Error::setting(
                what,
                "the price of this model is not known, so no amount can be kept to",
                "Enter its price, or agree to the number of tokens",
            )),
            (Agreed::UnknownPrice, Some(_)) => Err(Error::setting(
                what,
                "the price was not known when it was agreed to, and now it is",
                "Look at the estimate again",
            )),
        }
    }
}

impl Confirmed {
    /// What was agreed to.
    pub fn estimate(&self) -> &Estimate {
        &self.0
    }

    /// Why the run must stop after it has been billed so many tokens; `None` if it may go on.
    pub(super) fn exceeded(&self, input: u64, output: u64, batch: bool) -> Option<String> {
        let e = &self.0;
        if let (Some(price), Some(cost)) = (e.price, e.cost) {
            let spent = price.of(input, output, batch);
            return (spent > cost * 1.1)
                .then(|| format!("it has cost {spent:.4} dollars, and {cost:.4} were confirmed"));
        }
        let over = |now: u64, most: u64| now as f64 > most as f64 * 1.1;
        (over(input, e.input_tokens) || over(output, e.output_tokens)).then(|| {
            format!(
                "it was billed {input} + {output} tokens, and {} + {} were confirmed",
                e.input_tokens, e.output_tokens
            )
        })
    }
}

/// A run that is ready to be confirmed: every question is written.
#[derive(Debug, Clone)]
pub struct Prepared {
    request: LabelRequest,
    material: Vec<Material>,
    estimate: Estimate,
}

impl Prepared {
    /// What it would send and cost.
    pub fn estimate(&self) -> &Estimate {
        &self.estimate
    }

    /// What it would do.
    pub fn request(&self) -> &LabelRequest {
        &self.request
    }

    /// The first request as it would be sent, for whoever wants to see it.
    pub fn sample(&self) -> Option<String> {
        let prompt = self.material.first()?.write();
        Some(format!("{}\n\n{}", prompt.system, prompt.user))
    }
}

/// Random contexts that silent ones are chosen from.
const POOL: usize = 384;

/// Works out what `request` would send: chooses the examples, writes the questions, counts their
/// tokens. Sends nothing, and needs no key.
///
/// # Errors
/// An endpoint that cannot be asked, a dictionary without features, a model that does not fit it,
/// no latent that can be labelled, cancelled.
pub fn plan<E>(
    ctx: &JobContext<E>,
    workspace: &Workspace,
    source: &Source<'_>,
    request: &LabelRequest,
) -> Result<Prepared> {
    let what = "Nothing can be labelled";
    request.endpoint.check()?;
    if request.delivery == Delivery::Batch && request.endpoint.protocol != Protocol::Anthropic {
        return Err(Error::setting(
            what,
            "only Anthropic's servers take batches of messages",
            "Send the requests directly",
        ));
    }
    let Some(mut features) = workspace.open_features(request.sae)? else {
        return Err(Error::setting(
            what,
            "the features of this SAE were not collected",
            "Collect them first: a label is written from the contexts a latent fires in",
        ));
    };
    let mut latents = request.latents.clone();
    latents.sort_unstable();
    latents.dedup();
    let counts = &request.counts;
    let pool = if request.judge && counts.silent > 0 {
        let spec = features.about().spec.clone();
        Pool::read(ctx, source, &spec, POOL.max(counts.silent * 4))?
    } else {
        Pool::default()
    };
    ctx.progress().stage("Choosing examples", "latents", 0, latents.len() as u64);
    let places: HashMap<u32, usize> =
        features.table()?.latents.iter().enumerate().map(|(i, l)| (l.index, i)).collect();
    let (mut material, mut skipped) = (Vec::new(), Vec::new());
    for latent in latents {
        ctx.check()?;
        match examples(&mut features, &places, latent, &pool, request)? {
            Ok(of) => material.push(of),
            Err(why) => skipped.push((latent, why)),
        }
        ctx.progress().add(1);
    }
    if material.is_empty() {
        let why = skipped.first().map_or("no latent was chosen".to_owned(), |(latent, why)| {
            format!("of latent {latent}: {why}")
        });
        return Err(Error::setting(what, why, "Choose latents that fire in the sample"));
    }
    prepared(workspace, request, material, skipped)
}

/// Puts a price to what is to be asked.
pub(super) fn prepared(
    workspace: &Workspace,
    request: &LabelRequest,
    material: Vec<Material>,
    skipped: Vec<(u32, String)>,
) -> Result<Prepared> {
    let price = price_of(workspace, &request.endpoint)?;
    let estimate = estimate(request, &material, skipped, price)?;
    Ok(Prepared { request: request.clone(), material, estimate })
}

fn examples(
    features: &mut FeatureFile,
    places: &HashMap<u32, usize>,
    latent: u32,
    pool: &Pool,
    request: &LabelRequest,
) -> Result<Result<Material, String>> {
    let Some(place) = places.get(&latent) else {
        return Ok(Err("this SAE has no such latent".into()));
    };
    // The strongest, then those of each fifth: a label is to tell all of them.
    let detail = features.detail(*place)?;
    let contexts: Vec<Context> = detail.groups.into_iter().flat_map(|g| g.contexts).collect();
    let split = split(&contexts, &pool.silent(latent), &request.counts, request.seed);
    Ok(split.map(|mut split| {
        if !request.judge {
            split.fires.clear();
        }
        Material::new(latent, &split, request.counts.per_question, request.seed)
    }))
}

fn estimate(
    request: &LabelRequest,
    material: &[Material],
    skipped: Vec<(u32, String)>,
    price: Option<Price>,
) -> Result<Estimate> {
    let longest = "x".repeat(LABEL_BYTES);
    let (mut requests, mut input, mut output) = (0, 0, 0);
    let mut add = |prompt: &Prompt| {
        requests += 1;
        input += tokens_of(prompt);
        output += u64::from(prompt.max_tokens);
    };
    for of in material {
        add(&of.write());
        of.detect.iter().for_each(|q| add(&of.judge(false, q, &longest)));
        of.fuzz.iter().for_each(|q| add(&of.judge(true, q, &longest)));
    }
    let batch = request.delivery == Delivery::Batch;
    let cost = price.map(|price| price.of(input, output, batch));
    let limits = &request.limits;
    let minutes = (requests as f64 / f64::from(limits.requests_a_minute.max(1)))
        .max((input + output) as f64 / limits.tokens_a_minute.max(1) as f64);
    let seconds = if batch { 0 } else { ((minutes - 1.0).max(0.0) * 60.0) as u64 };
    let mut hash = Sha256::new();
    for part in [to_json(request)?, to_json(&material)?, to_json(&price)?] {
        hash.update(part.as_bytes());
    }
    let fingerprint = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Estimate {
        latents: material.len(),
        skipped,
        requests,
        input_tokens: input,
        output_tokens: output,
        price,
        cost,
        seconds,
        fingerprint,
    })
}

/// Begins a run: keeps what was confirmed and every question, so that it can go on after any end
/// of the program. Sends nothing yet.
///
/// # Errors
/// What was confirmed is not this, or it could not be saved.
pub fn begin(
    workspace: &mut Workspace,
    prepared: &Prepared,
    confirmed: &Confirmed,
) -> Result<LabelRunId> {
    if confirmed.0.fingerprint != prepared.estimate.fingerprint {
        return Err(Error::setting(
            "Nothing was sent",
            "what was confirmed is the estimate of something else",
            "Look at the estimate again, and confirm it",
        ));
    }
    let request = to_value(&prepared.request)?;
    let id = workspace.begin_label_run(prepared.request.sae, &request, &to_value(confirmed)?)?;
    let saved = save_material(workspace, id, &prepared.material);
    if saved.is_err() {
        workspace.forget_label_run(id)?;
    }
    saved.map(|()| id)
}

const MATERIAL: &str = "questions.json";

fn save_material(workspace: &Workspace, id: LabelRunId, material: &[Material]) -> Result<()> {
    let dir = workspace.label_run_dir(id)?;
    let what = || format!("Could not write the questions to {}", dir.display());
    std::fs::create_dir_all(&dir).doing(what)?;
    let beside = dir.join("questions.part");
    std::fs::write(&beside, to_json(&material)?).doing(what)?;
    std::fs::File::open(&beside).and_then(|f| f.sync_all()).doing(what)?;
    std::fs::rename(&beside, dir.join(MATERIAL)).doing(what)
}

pub(super) fn load_material(workspace: &Workspace, id: LabelRunId) -> Result<Vec<Material>> {
    let path = workspace.label_run_dir(id)?.join(MATERIAL);
    let text = std::fs::read(&path).doing(|| format!("Could not read {}", path.display()))?;
    serde_json::from_slice(&text).map_err(|e| {
        Error::format(
            format!("Could not read {}", path.display()),
            e.to_string(),
            "Begin a new run; the labels that this one wrote are kept",
        )
    })
}

fn to_json<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|e| Error::internal("Could not save a run", e.to_string()))
}

fn to_value<T: Serialize>(value: &T) -> Result<serde_json::Value> {
    serde_json::to_value(value).map_err(|e| Error::internal("Could not save a run", e.to_string()))
}
