//! What is said of a model, and of what it makes of a text.

use super::facts;
use crate::cli::Global;
use crate::cli::input::open_model;
use crate::cli::report::Report;
use crate::cli::table::{Style, Table, count, figure, percent};
use serde_json::json;
use sparsescope_core::jobs::JobContext;
use sparsescope_core::llama::{Inspection, TextInspection, memory};
use sparsescope_core::{Error, Result};
use std::path::Path;

/// The model at `path`, and what it makes of `text`.
pub fn report(
    ctx: &JobContext<()>,
    path: &Path,
    text: Option<&str>,
    global: &Global,
) -> Result<Report> {
    let model = open_model(ctx, path, global)?;
    ctx.progress().stage("Reading", "", 0, 0);
    let found = model.inspect(text)?;
    let mut json = serde_json::to_value(&found)
        .map_err(|e| Error::internal("The result could not be written", e.to_string()))?;
    json["path"] = json!(path);
    json["sites"] = found
        .sites
        .iter()
        .map(|s| {
            json!({
                "site": s,
                "transformer_lens": s.transformer_lens(),
                "hugging_face": s.hugging_face(),
            })
        })
        .collect();
    Report::new(&json, shape(path, &found) + &found.text.as_ref().map_or_else(String::new, reading))
}

fn shape(path: &Path, found: &Inspection) -> String {
    let c = &found.config;
    let heads = if c.kv_heads == c.heads {
        format!("{} of width {}", c.heads, c.head_dim)
    } else {
        format!("{} of width {}, {} for keys and values", c.heads, c.head_dim, c.kv_heads)
    };
    let last = c.layers.saturating_sub(1);
    let free = found.free_bytes.map(|f| format!(", {} free here", memory::human(f)));
    let needed = memory::human(found.memory_bytes);
    let pass = memory::human(found.pass_bytes);
    let missing = || "none beside the weights".to_owned();
    facts(&[
        ("model", path.display().to_string()),
        ("hash", found.hash.clone()),
        ("architecture", c.architecture.clone()),
        ("parameters", count(found.parameters)),
        ("blocks", format!("{}, width {}, MLP {}", c.layers, c.width, c.hidden)),
        ("heads", heads),
        ("vocabulary", format!("{} tokens", count(c.vocab as u64))),
        ("context", format!("{} positions", count(c.context as u64))),
        ("tokenizer", found.tokenizer.clone().unwrap_or_else(missing)),
        ("memory", format!("{needed}, and {pass} for a full context{}", free.unwrap_or_default())),
        ("sites", format!("embed, and attn.L, mlp.L, resid.L with L from 0 to {last}")),
    ])
}

fn reading(text: &TextInspection) -> String {
    let style = Style::of_stdout();
    let mut tokens = Table::new(&[">token", "text"]);
    for (id, drawn) in text.ids.iter().zip(&text.tokens) {
        tokens.row([id.to_string(), drawn.clone()]);
    }
    let mut next = Table::new(&["next", ">token", ">logit", ">probability"]);
    for t in &text.next {
        next.row([
            t.text.clone(),
            t.id.to_string(),
            figure(t.logit.into()),
            percent(t.probability),
        ]);
    }
    let nll = match text.mean_nll {
        Some(nll) => format!("mean negative log-likelihood {} nats a token", figure(nll)),
        None => "one token alone has no likelihood".to_owned(),
    };
    format!("\n{}\n{nll}\n\n{}", tokens.render(style), next.render(style))
}
