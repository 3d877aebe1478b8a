//! Opening a model, and asking it what comes next.

use crate::state::{ModelFacts, NextAnswer, NextToken};
use sparsescope_core::jobs::JobContext;
use sparsescope_core::llama::{Model, Rope};
use sparsescope_core::workspace::Workspace;
use sparsescope_core::{Error, Result, demo, device};
use std::path::{Path, PathBuf};

/// Opens the model at `path` and remembers it in the workspace.
pub fn open(
    ctx: &JobContext,
    path: &Path,
    device_name: &str,
    workspace: &Path,
) -> Result<(Model, ModelFacts)> {
    ctx.progress().stage("Reading the weights", "", 0, 0);
    let device = device::choose(device_name)?;
    let model = Model::open(path, &device)?;
    ctx.check()?;
    let facts = facts(&model, Some(path.to_owned()))?;
    // To be found again is a comfort: the model is open whether or not it can be remembered.
    let remembered =
        Workspace::open(workspace).and_then(|w| w.remember_model(model.hash(), path, &facts.name));
    if let Err(error) = remembered {
        ctx.log(error.to_string());
    }
    Ok((model, facts))
}

/// What is known of a model; `path` is `None` for the built-in one.
pub fn facts(model: &Model, path: Option<PathBuf>) -> Result<ModelFacts> {
    let inspection = model.inspect(None)?;
    let config = inspection.config;
    let name = path.as_deref().map_or_else(|| "Built-in world".to_owned(), name_of);
    let rope = match config.rope {
        Rope::Default => format!("θ {}", config.rope_theta),
        Rope::Linear { factor } => format!("θ {}, linear × {factor}", config.rope_theta),
        Rope::Llama3 { factor, .. } => format!("θ {}, llama3 × {factor}", config.rope_theta),
    };
    Ok(ModelFacts {
        name,
        path,
        hash: inspection.hash,
        architecture: config.architecture,
        layers: config.layers,
        width: config.width,
        heads: config.heads,
        kv_heads: config.kv_heads,
        head_dim: config.head_dim,
        hidden: config.hidden,
        vocab: config.vocab,
        context: config.context,
        rope,
        parameters: inspection.parameters,
        dtype: inspection.dtype,
        tokenizer: inspection.tokenizer,
        tied: config.tied == Some(true),
        weight_bytes: inspection.memory_bytes,
        pass_bytes: inspection.pass_bytes,
        free_bytes: inspection.free_bytes,
    })
}

/// A model is called after its folder.
pub fn name_of(path: &Path) -> String {
    let folder = match path.extension() {
        Some(e) if e == "safetensors" => path.parent().unwrap_or(path),
        _ => path,
    };
    folder.file_name().map_or_else(|| folder.display().to_string(), |n| n.to_string_lossy().into())
}

/// What the model makes of `text`.
pub fn next(model: &Model, text: &str) -> Result<NextAnswer> {
    let answer = model.inspect_text(text)?;
    let likely = answer.next.into_iter().map(|t| NextToken {
        text: t.text,
        id: t.id,
        probability: t.probability,
        logit: f64::from(t.logit),
    });
    Ok(NextAnswer {
        tokens: answer.tokens.into_iter().zip(answer.ids).collect(),
        likely: likely.collect(),
        loss: answer.mean_nll,
    })
}

/// The model of a run that goes on: opened again, and the very same one.
pub fn open_again(path: Option<&Path>, device_name: &str, hash: &str) -> Result<Model> {
    let device = device::choose(device_name)?;
    let model = match path {
        Some(path) => Model::open(path, &device)?,
        None => builtin(device_name)?,
    };
    if model.hash() == hash {
        return Ok(model);
    }
    let place = path.map_or("the built-in model".to_owned(), |p| p.display().to_string());
    Err(Error::setting(
        "The run cannot go on",
        format!("it was trained on another model than {place} now is"),
        "Put the model back that it was begun with, or begin a new run",
    ))
}

/// The built-in model.
pub fn builtin(device_name: &str) -> Result<Model> {
    demo::model(&device::choose(device_name)?)
}
