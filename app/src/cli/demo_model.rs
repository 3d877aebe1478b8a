//! `demo-model`: trains the built-in model again.

use super::report::Report;
use super::table::{Style, Table, bytes, count, duration, figure, percent};
use super::{Global, watch};
use clap::Args;
use sparsescope_core::Result;
use sparsescope_core::demo::{Knowledge, ModelOutcome, ModelPoint, ModelRequest, train_model};
use std::path::PathBuf;
use std::time::Duration;

/// Train the built-in model on the built-in world, as it was trained
#[derive(Args, Clone)]
#[command(after_help = "\
The same settings give the same weights. The built-in model was made with the defaults.

Example:
  sparsescope demo-model --out demo-model")]
pub struct DemoModelArgs {
    /// Folder for config.json, tokenizer.json and model.safetensors
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Tokens to train on [default: as the built-in model]
    #[arg(long, value_name = "N")]
    tokens: Option<u64>,
    /// Documents of the check at the end
    #[arg(long, value_name = "N")]
    check_documents: Option<usize>,
}

/// Trains and checks.
///
/// # Errors
/// A folder that cannot be written; cancelled.
pub fn run(args: &DemoModelArgs, global: &Global) -> Result<Report> {
    let mut request = ModelRequest::new(&args.out);
    request.seed = global.seed.unwrap_or(request.seed);
    request.tokens = args.tokens.unwrap_or(request.tokens);
    request.check_documents = args.check_documents.unwrap_or(request.check_documents);
    let hear = |point: ModelPoint| Some(format!("loss {}", figure(point.loss)));
    let done = watch::run("Train the built-in model", hear, move |ctx| train_model(ctx, &request))?;
    Report::new(&done, text(&done))
}

fn text(done: &ModelOutcome) -> String {
    let head = format!(
        "{}: {} parameters, {}, {} tokens in {}\nhash {}\n\n",
        done.out.display(),
        count(done.parameters),
        bytes(done.bytes),
        count(done.tokens),
        duration(Duration::from_secs_f64(done.seconds.max(0.0))),
        done.hash
    );
    head + &knowledge(&done.knowledge)
}

/// How well a model knows the world.
fn knowledge(k: &Knowledge) -> String {
    let mut table = Table::new(&["agreement", ">verbs", ">right", ">with an attractor"]);
    for (kind, score) in &k.agreement {
        let attracted = match score.verbs_with_attractor {
            0 => "–".to_owned(),
            _ => percent(score.share_with_attractor()),
        };
        let kind = format!("{kind:?}").to_lowercase();
        table.row([kind, count(score.verbs as u64), percent(score.share()), attracted]);
    }
    format!(
        "{}\nloss {} nats a token, the grammar's own entropy {}: {} over it\n",
        table.render(Style::of_stdout()),
        figure(k.loss),
        figure(k.entropy),
        percent(k.excess)
    )
}
