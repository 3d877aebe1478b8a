//! `search`: latents found by the words of their labels and of the texts they fire in.

use super::label::Within;
use super::report::Report;
use super::table::{Style, Table};
use super::{Global, watch};
use clap::Args;
use serde_json::json;
use sparsescope_core::Result;
use sparsescope_core::labels::{self, Hit, Query, Snippet, Where};
use sparsescope_core::workspace::{SaeId, Workspace};

/// Find latents of the workspace by words of their labels and contexts
#[derive(Args, Clone)]
#[command(after_help = "\
Every word is the beginning of one that is looked for; words between double quotes stand in this order.

Examples:
  sparsescope search gender
  sparsescope search '\"the key to\"' --sae 3 --json")]
pub struct SearchArgs {
    /// What to look for
    text: String,
    #[command(flatten)]
    within: Within,
    /// Number of the dictionary to look in [default: all]
    #[arg(long, value_name = "ID")]
    sae: Option<SaeId>,
    /// Hits to list
    #[arg(long, default_value_t = 20, value_name = "N")]
    top: usize,
}

/// Searches; contexts that were not indexed yet are indexed first.
///
/// # Errors
/// The workspace or its features cannot be read; stopped.
pub fn run(args: &SearchArgs, _global: &Global) -> Result<Report> {
    let workspace = args.within.open()?;
    let query = Query { text: args.text.clone(), sae: args.sae, limit: args.top };
    let mut found = labels::search(&workspace, &query)?;
    if !found.unindexed.is_empty() {
        let (root, unindexed) = (workspace.root().to_owned(), found.unindexed.clone());
        watch::quietly("Index contexts", move |ctx| {
            let workspace = Workspace::open(&root)?;
            unindexed
                .into_iter()
                .try_for_each(|sae| labels::index_contexts(ctx, &workspace, sae).map(|_| ()))
        })?;
        found = labels::search(&workspace, &query)?;
    }
    let style = Style::of_stdout();
    let mut table = Table::new(&[">sae", ">latent", ">score", "label", "found"]);
    for hit in &found.hits {
        let score =
            hit.score().map_or("–".to_owned(), |(score, what)| format!("{what} {score:.2}"));
        let label = hit.label.as_ref().map_or(String::new(), |l| l.text.clone());
        let text = match hit.at {
            Where::Label => style.dim("in the label"),
            _ => marked(&hit.snippet, style),
        };
        table.row([hit.sae.to_string(), hit.latent.to_string(), score, label, text]);
    }
    let json = json!({
        "query": args.text,
        "more": found.more,
        "hits": found.hits.iter().map(as_json).collect::<Vec<_>>(),
    });
    let text = match found.hits.len() {
        0 => "No label and no context has these words.\n".to_owned(),
        _ => table.render(style),
    };
    Report::new(&json, text)
}

fn marked(snippet: &Snippet, style: Style) -> String {
    let mut out = String::new();
    let mut from = 0;
    for mark in &snippet.marked {
        out += snippet.text.get(from..mark.start).unwrap_or_default();
        out += &style.mark(snippet.text.get(mark.clone()).unwrap_or_default());
        from = mark.end;
    }
    out + snippet.text.get(from..).unwrap_or_default()
}

fn as_json(hit: &Hit) -> serde_json::Value {
    let (place, contexts) = match hit.at {
        Where::Label => ("label", None),
        Where::Peak(n) => ("peak", Some(n)),
        Where::Context(n) => ("context", Some(n)),
    };
    json!({
        "sae": hit.sae, "latent": hit.latent, "found_in": place, "contexts": contexts,
        "label": hit.label.as_ref().map(|l| &l.text),
        "source": hit.label.as_ref().map(|l| &l.source),
        "score": hit.score().map(|(score, what)| json!({"of": what, "value": score})),
        "text": hit.snippet.text,
        "matches": hit.snippet.marked.iter().map(|m| [m.start, m.end]).collect::<Vec<_>>(),
    })
}
