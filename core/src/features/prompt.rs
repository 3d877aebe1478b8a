//! Which latents fire on which token of a prompt, and which of them the next token owes itself to.

use crate::activations::site_output;
use crate::error::{Error, ErrorKind, Result};
use crate::llama::{Logits, Model, NextToken, Plan, Site, Tokens, WhatGradients};
use crate::sae::Sae;
use candle_core::{DType, Tensor};
use serde::{Deserialize, Serialize};

/// Next tokens that a reading names.
const NEXT: usize = 12;

/// What is asked of a prompt.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromptSpec {
    /// The text; BOS is put in front where the model has one.
    pub text: String,
    /// The token whose successor is asked about, by its place with BOS counted; the last if `None`.
    pub position: Option<usize>,
    /// The next token whose logit is looked at; the likeliest if `None`.
    pub target: Option<u32>,
    /// The token it is compared with; the mean of all tokens if `None`.
    pub against: Option<u32>,
}

/// A latent that fires on a token.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Fired {
    /// The token's place in the prompt.
    pub position: u32,
    /// The latent.
    pub latent: u32,
    /// Its activation f.
    pub activation: f32,
    /// Its direct effect on the metric, past all later blocks: `f · ⟨d, u⟩ / rms(x_final)`, with u
    /// the metric's direction behind the final norm and the norm held as it is. 0 at every token
    /// but the one whose successor is asked about.
    pub direct: f32,
    /// Its effect by attribution patching against 0: `f · ⟨∂metric/∂x, d⟩`, the part of the metric
    /// that would go with it, to first order (Nanda 2023; Marks et al., 2403.19647).
    pub attribution: f32,
}

/// What a prompt is made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PromptReading {
    /// Its tokens, BOS in front: id and text.
    pub tokens: Vec<(u32, String)>,
    /// The first token whose latents are counted: BOS is not, the dictionary knows nothing of it.
    pub first: usize,
    /// Tokens at its end that did not fit into the model's context and were left out.
    pub cut: usize,
    /// The site.
    pub site: Site,
    /// The token whose successor is asked about.
    pub position: usize,
    /// The likeliest successors.
    pub next: Vec<NextToken>,
    /// The successor whose logit is looked at.
    pub target: NextToken,
    /// The token it is compared with.
    pub against: Option<NextToken>,
    /// The metric: logit(target) − logit(against), or − the mean logit where nothing is compared.
    pub metric: f32,
    /// Every latent on every token, in order of token and latent.
    pub fired: Vec<Fired>,
    /// ‖x − x̂‖² / ‖x‖² at each token: what the dictionary leaves unexplained there.
    pub unexplained: Vec<f32>,
}

/// Reads a prompt: the latents of `sae` at `site` on each token, with their effect on one logit.
///
/// # Errors
/// A text of no tokens, a token that is not there, a NaN, those of the forward and backward pass,
/// what `check` returns.
pub fn read_prompt(
    model: &Model,
    sae: &Sae,
    site: Site,
    spec: &PromptSpec,
    check: &dyn Fn() -> Result<()>,
) -> Result<PromptReading> {
    let tokenizer = model.need_tokenizer()?;
    let mut ids = tokenizer.encode(&spec.text, true)?;
    let first = usize::from(ids.first().is_some_and(|id| Some(*id) == tokenizer.bos()));
    if ids.len() <= first {
        return Err(Error::setting(
            "There is nothing to read",
            "the text has no tokens",
            "Type a few words",
        ));
    }
    let cut = ids.len().saturating_sub(model.config().context);
    ids.truncate(model.config().context);
    let position = spec.position.unwrap_or(ids.len() - 1).min(ids.len() - 1);
    let last = Site::Resid(model.config().layers - 1);

    let tokens = Tokens::row(&ids)?;
    let plan = Plan { read: &[site], check: Some(check), ..Plan::default() };
    let x = site_output(&model.forward(&tokens, &plan)?, site)?;
    let width = sae.width();
    if let Some(at) = x.iter().position(|v| !v.is_finite()) {
        return Err(Error::new(
            ErrorKind::Numeric,
            "The prompt cannot be read",
            format!("the model computed {} at {site}, token {}", x[at], at / width),
            "Check that the model's files are whole",
        ));
    }
    let latents = sae.encode(&x)?;
    let decoded = sae.decode(&latents)?;

    // The metric looks at one token, and nothing after that token matters to it.
    let prefix = Tokens::row(&ids[..=position])?;
    let read = [last];
    let plan = Plan {
        read: &read,
        logits: Logits::Last,
        trace: true,
        check: Some(check),
        ..Plan::default()
    };
    let pass = model.forward(&prefix, &plan)?;
    let logits = pass.logits.as_ref().ok_or_else(|| {
        Error::internal("The prompt cannot be read", "the pass computed no logits")
    })?;
    let logits: Vec<f32> = logits.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?;
    let next = model.likeliest(&logits, NEXT);
    let named = |id: u32| named(model, &logits, id);
    let target = match (spec.target, next.first()) {
        (Some(id), _) => named(id)?,
        (None, Some(best)) => best.clone(),
        (None, None) => return Err(Error::internal("The prompt cannot be read", "no logits")),
    };
    let against = spec.against.map(named).transpose()?;
    let mean = logits.iter().map(|v| f64::from(*v)).sum::<f64>() / logits.len() as f64;
    let metric = target.logit - against.as_ref().map_or(mean as f32, |t| t.logit);

    let mut toward = vec![0f32; logits.len()];
    match &against {
        Some(other) => toward[other.id as usize] -= 1.0,
        None => toward.fill(-1.0 / logits.len() as f32),
    }
    toward[target.id as usize] += 1.0;
    let toward = Tensor::from_vec(toward, (1, logits.len()), model.device())?;
    let toward = toward.to_dtype(model.dtype())?;
    check()?;
    let what = WhatGradients { sites: &[site], ..WhatGradients::default() };
    let gradients = model.backward(&pass, &toward, what)?;
    let gradient = gradients.sites.get(&site).ok_or_else(|| {
        Error::internal("The prompt cannot be read", format!("no gradient at {site}"))
    })?;
    let gradient = crate::activations::numbers(gradient)?;

    let mut u = model.logit_direction(target.id)?;
    if let Some(other) = &against {
        u.iter_mut().zip(model.logit_direction(other.id)?).for_each(|(u, o)| *u -= o);
    }
    let stream = site_output(&pass, last)?;
    let scale = model.inverse_rms(&stream[position * width..][..width])[0];
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    };
    let mut fired = Vec::new();
    let mut unexplained = Vec::with_capacity(ids.len());
    for i in 0..ids.len() {
        let row = &x[i * width..][..width];
        let error: Vec<f32> =
            row.iter().zip(&decoded[i * width..][..width]).map(|(x, y)| x - y).collect();
        unexplained.push((dot(&error, &error) / dot(row, row).max(f64::MIN_POSITIVE)) as f32);
        if i < first {
            continue;
        }
        let (index, value) = latents.row(i);
        for (&latent, &f) in index.iter().zip(value) {
            let d = sae.direction(latent as usize);
            let direct =
                if i == position { f64::from(f) * dot(d, &u) * f64::from(scale) } else { 0.0 };
            let attribution = match gradient.get(i * width..(i + 1) * width) {
                Some(g) => f64::from(f) * dot(d, g),
                // What comes after the token has no say in it.
                None => 0.0,
            };
            fired.push(Fired {
                position: i as u32,
                latent,
                activation: f,
                direct: direct as f32,
                attribution: attribution as f32,
            });
        }
    }
    let tokens = ids.iter().map(|id| (*id, tokenizer.token_text(*id).to_owned())).collect();
    Ok(PromptReading {
        tokens,
        first,
        cut,
        site,
        position,
        next,
        target,
        against,
        metric,
        fired,
        unexplained,
    })
}

/// A token with its logit and probability.
fn named(model: &Model, logits: &[f32], id: u32) -> Result<NextToken> {
    let Some(logit) = logits.get(id as usize).copied() else {
        return Err(Error::setting(
            "The token cannot be asked about",
            format!("{id} is no token of this model: it has {}", logits.len()),
            "Choose one of its tokens",
        ));
    };
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|v| f64::from(v - top).exp()).sum();
    let text = model.tokenizer().map_or_else(String::new, |t| t.token_text(id).to_owned());
    Ok(NextToken { id, text, logit, probability: f64::from(logit - top).exp() / sum })
}
