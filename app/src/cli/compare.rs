//! `compare`: what two dictionaries of the same site have in common.

use super::eval::folder_of;
use super::report::Report;
use super::table::{Style, Table, count, figure, percent};
use super::{Global, watch};
use clap::Args;
use serde_json::json;
use sparsescope_core::Result;
use sparsescope_core::directions::{Comparison, compare};
use sparsescope_core::sae::Sae;
use std::path::PathBuf;

/// Compare two dictionaries of the same site: matched directions, what only one of them has
#[derive(Args, Clone)]
#[command(after_help = "\
Example:
  sparsescope compare seed-0 seed-1 --top 20
  sparsescope compare seed-0 seed-1 --json")]
pub struct CompareArgs {
    /// Folder of the first dictionary
    a: PathBuf,
    /// Folder of the second
    b: PathBuf,
    /// Pairs and unmatched latents to list; --json lists all
    #[arg(long, default_value_t = 10, value_name = "N")]
    top: usize,
    /// Best cosine under which a latent counts as one that the other dictionary lacks
    #[arg(long, default_value_t = 0.7, value_name = "COSINE")]
    lacks: f32,
}

/// Compares.
///
/// # Errors
/// A dictionary cannot be read, or they are of different sites; cancelled.
pub fn run(args: &CompareArgs, _global: &Global) -> Result<Report> {
    let asked = args.clone();
    let found = watch::quietly("Compare", move |ctx| {
        let a = Sae::load(folder_of(&asked.a))?;
        let b = Sae::load(folder_of(&asked.b))?;
        compare(ctx, &a, &b)
    })?;
    let alone = [found.a.alone(args.lacks), found.b.alone(args.lacks)];
    let listed = |all: &[(u32, f32)]| -> Vec<serde_json::Value> {
        all.iter().map(|(latent, best)| json!({ "latent": latent, "best_cosine": best })).collect()
    };
    let side = |side: &sparsescope_core::directions::Side| {
        json!({
            "mean_max_cosine": side.mean_max_cosine,
            "share_at_least_0.7": side.above_07,
            "share_at_least_0.9": side.above_09,
        })
    };
    let json = json!({
        "a": args.a,
        "b": args.b,
        "a_in_b": side(&found.a),
        "b_in_a": side(&found.b),
        "mutual_best_pairs": found.mutual,
        "mean_pair_cosine": found.mean_pair_cosine,
        "pairs": found.pairs,
        "lacks_under": args.lacks,
        "only_in_a": listed(&alone[0]),
        "only_in_b": listed(&alone[1]),
    });
    Report::new(&json, text(args, &found, &alone))
}

fn text(args: &CompareArgs, found: &Comparison, alone: &[Vec<(u32, f32)>; 2]) -> String {
    let style = Style::of_stdout();
    let mut figures = Table::new(&["measure", ">A in B", ">B in A", "meaning"]);
    let (a, b) = (&found.a, &found.b);
    let mut row = |name: &str, a: String, b: String, meaning: &str| {
        figures.row([name, &a, &b, meaning]);
    };
    row(
        "mean max cosine",
        figure(a.mean_max_cosine),
        figure(b.mean_max_cosine),
        "mean over latents of the cosine with the nearest direction of the other",
    );
    let share = "share of latents whose nearest has at least this cosine";
    row("over 0.7", percent(a.above_07), percent(b.above_07), share);
    row("over 0.9", percent(a.above_09), percent(b.above_09), share);
    let lacks = format!("latents whose nearest has a cosine under {}", args.lacks);
    let size = |list: &[(u32, f32)]| count(list.len() as u64);
    row("lacking", size(&alone[0]), size(&alone[1]), &lacks);
    let mut pairs = Table::new(&[">cosine", ">latent of A", ">latent of B", "mutual best"]);
    for pair in found.pairs.iter().take(args.top) {
        let mutual = if pair.mutual { "yes" } else { "" };
        let cosine = figure(pair.cosine.into());
        pairs.row([&cosine, &pair.a.to_string(), &pair.b.to_string(), mutual]);
    }
    format!(
        "A {}\nB {}\n\n{}\n{} pairs are each other's best. {} pairs one to one, mean cosine {}; \
         the nearest:\n\n{}",
        args.a.display(),
        args.b.display(),
        figures.render(style),
        count(found.mutual as u64),
        count(found.pairs.len() as u64),
        figure(found.mean_pair_cosine),
        pairs.render(style)
    )
}
