//! What is said of everything but models.

use super::facts;
use crate::cli::report::Report;
use crate::cli::table::{Style, Table, bytes, count, figure};
use serde_json::json;
use sparsescope_core::activations::{Source as _, StoreSource};
use sparsescope_core::corpus::{CorpusSpec, sentences};
use sparsescope_core::jobs::JobContext;
use sparsescope_core::sae::Sae;
use sparsescope_core::workspace::Workspace;
use sparsescope_core::{Error, IoContext as _, Result};
use std::fs;
use std::path::Path;

/// An SAE's folder, or a file in it.
pub fn sae(path: &Path) -> Result<Report> {
    let folder = if path.is_dir() { path } else { path.parent().unwrap_or(path) };
    let sae = Sae::load(folder)?;
    let about = &sae.about;
    let last = about.history.last();
    let json = json!({
        "kind": "sae",
        "path": folder,
        "hash": sae.hash(),
        "architecture": sae.architecture,
        "latents": sae.latents(),
        "width": sae.width(),
        "trained_on": about.trained_on,
        "config": about.config,
        "tokens": about.tokens,
        "last_point": last,
    });
    let mut lines = vec![
        ("SAE", folder.display().to_string()),
        ("hash", sae.hash()),
        ("architecture", format!("{}{}", sae.architecture.name(), k_of(&sae))),
        ("latents", format!("{} of width {}", count(sae.latents() as u64), sae.width())),
        ("trained for", format!("{} tokens", count(about.tokens))),
    ];
    if let Some(from) = &about.trained_on {
        lines.push(("site", from.site.to_string()));
        lines.push(("model", from.model.clone()));
        lines.push(("corpus", format!("{}, {}", from.corpus, from.rows)));
    }
    if let Some(p) = last {
        let said = format!("loss {}, FVU {}, L0 {}", figure(p.loss), figure(p.fvu), figure(p.l0));
        lines.push(("at its end", said));
    }
    Report::new(&json, facts(&lines))
}

fn k_of(sae: &Sae) -> String {
    sae.architecture.k().map_or_else(String::new, |k| format!(", k {k}"))
}

/// A store's folder, or a file in it.
pub fn store(path: &Path) -> Result<Report> {
    let folder = if path.is_dir() { path } else { path.parent().unwrap_or(path) };
    let store = StoreSource::open(folder, 0)?;
    let from = store.provenance();
    let json = json!({
        "kind": "activations",
        "path": folder,
        "rows": store.rows(),
        "width": store.width(),
        "outliers": store.outliers(),
        "mean_square_norm": store.mean_square_norm(),
        "provenance": from,
    });
    let text = facts(&[
        ("activations", folder.display().to_string()),
        ("rows", format!("{} of width {}", count(store.rows()), store.width())),
        ("outliers", count(store.outliers())),
        ("E‖x‖²", figure(store.mean_square_norm())),
        ("site", from.site.to_string()),
        ("model", from.model),
        ("corpus", format!("{}, {}", from.corpus, from.rows)),
        ("seed", from.seed.to_string()),
    ]);
    Report::new(&json, text)
}

/// A workspace's folder.
pub fn workspace(path: &Path) -> Result<Report> {
    let workspace = Workspace::open(path)?;
    let saes = workspace.list_saes()?;
    let mut table = Table::new(&[
        ">SAE",
        "architecture",
        ">latents",
        "site",
        "corpus",
        "status",
        ">tokens",
        ">FVU",
    ]);
    let mut list = Vec::new();
    for s in &saes {
        let status = format!("{:?}", s.status).to_lowercase();
        let fvu = s.evaluation.as_ref().map(|e| e.fvu);
        table.row([
            s.id.to_string(),
            s.architecture.clone(),
            count(s.latents as u64),
            s.site.to_string(),
            s.corpus.clone(),
            status.clone(),
            count(s.tokens_done),
            fvu.map_or_else(String::new, figure),
        ]);
        list.push(json!({
            "id": s.id, "dir": s.dir, "architecture": s.architecture, "latents": s.latents,
            "width": s.width, "site": s.site, "model": s.model, "corpus": s.corpus,
            "status": status, "tokens_done": s.tokens_done, "tokens_total": s.tokens_total,
            "evaluation": s.evaluation, "failure": s.failure,
        }));
    }
    let head = format!("The workspace {} holds {} SAEs.\n", path.display(), saes.len());
    let text = if saes.is_empty() { head } else { head + "\n" + &table.render(Style::of_stdout()) };
    Report::new(&json!({"kind": "workspace", "path": path, "saes": list}), text)
}

/// A text: how much there is of it, as this program reads it.
pub fn corpus(ctx: &JobContext<()>, path: &Path) -> Result<Report> {
    let name = path.to_str().ok_or_else(|| {
        Error::setting("The path is not UTF-8", path.display().to_string(), "Rename the file")
    })?;
    let size = fs::metadata(path).doing(|| format!("Could not read {name}"))?.len();
    let mut documents = name.parse::<CorpusSpec>()?.open(0)?;
    ctx.progress().stage("Reading", "documents", 0, 0);
    let (mut number, mut characters, mut parts, mut first) = (0_u64, 0_u64, 0_u64, None);
    while let Some(text) = documents.next_document()? {
        ctx.check()?;
        number += 1;
        characters += text.chars().count() as u64;
        parts += sentences(&text).len() as u64;
        first.get_or_insert_with(|| text.chars().take(200).collect::<String>());
        ctx.progress().set(number);
    }
    let note = documents.note();
    let json = json!({
        "kind": "corpus", "path": path, "bytes": size, "documents": number,
        "sentences": parts, "characters": characters, "begins": first, "note": note,
    });
    let mut lines = vec![
        ("text", name.to_owned()),
        ("size", bytes(size)),
        ("documents", count(number)),
        ("sentences", count(parts)),
        ("characters", count(characters)),
        ("begins", first.unwrap_or_default().replace('\n', " ")),
    ];
    lines.extend(note.map(|n| ("note", n)));
    Report::new(&json, facts(&lines))
}
