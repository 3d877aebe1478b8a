//! `demo`: the tour through the whole program, in a terminal.

use super::features::drawn;
use super::input::{BUILTIN, open_model};
use super::report::Report;
use super::table::{Style, Table, duration, figure};
use super::train::remark;
use super::{Global, eval, truth, watch};
use clap::Args;
use sparsescope_core::Result;
use sparsescope_core::demo::{self, TourEvent, TourReport, TourRequest};
use sparsescope_core::llama::Site;
use sparsescope_core::training::TrainEvent;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The tour: train a dictionary on the built-in model and compare it with the truth
#[derive(Args, Clone, Default)]
#[command(after_help = "\
The built-in corpus is written by a grammar, so the truth of every token is known: the last tables
say how well the dictionary holds it, and whether the model uses what the latents say.

Examples:
  sparsescope demo
  sparsescope demo --out tour --json")]
pub struct DemoArgs {
    /// A model that demo-model wrote [default: the built-in one]
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// Folder to leave the dictionary and its features in [default: none is left]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// The site to train on [default: as the tour has it]
    #[arg(long, value_name = "SITE")]
    site: Option<Site>,
    /// Number of latents [default: as the tour has it]
    #[arg(long, value_name = "N")]
    latents: Option<usize>,
    /// Latents kept for each token [default: as the tour has it]
    #[arg(long, value_name = "N")]
    k: Option<usize>,
    /// Tokens to train on [default: as the tour has it]
    #[arg(long, value_name = "N")]
    tokens: Option<u64>,
    /// Documents to compare with the truth [default: as the tour has it]
    #[arg(long, value_name = "N")]
    documents: Option<usize>,
}

/// Features in the table.
const SHOWN: usize = 15;

/// Runs the tour.
///
/// # Errors
/// Whatever keeps it from its end; cancelled.
pub fn run(args: &DemoArgs, global: &Global) -> Result<Report> {
    let passing = args.out.is_none().then(Passing::new);
    let out =
        passing.as_ref().map_or_else(|| args.out.clone().unwrap_or_default(), |p| p.0.clone());
    let mut request = TourRequest::new(out);
    request.seed = global.seed();
    request.site = args.site.unwrap_or(request.site);
    request.latents = args.latents.unwrap_or(request.latents);
    request.k = args.k.unwrap_or(request.k);
    request.tokens = args.tokens.unwrap_or(request.tokens);
    request.truth_documents = args.documents.unwrap_or(request.truth_documents);
    let settings = global.clone();
    let path = args.model.clone().unwrap_or_else(|| BUILTIN.into());
    let hear = |event: TourEvent| match event {
        TourEvent::Train(TrainEvent::Point(point)) => Some(remark(&point)),
        _ => None,
    };
    let found = watch::run("Tour", hear, move |ctx| {
        let model = open_model(ctx, &path, &settings)?;
        demo::tour(ctx, &model, &request)
    })?;
    Report::new(&found, text(&found, args.out.as_deref()))
}

fn text(found: &TourReport, out: Option<&Path>) -> String {
    let style = Style::of_stdout();
    let (request, truth) = (&found.request, &found.truth);
    let head = format!(
        "A topk dictionary of {} latents, k {}, on {} of the built-in model.\n\n",
        request.latents, request.k, request.site
    );
    let mut features = Table::new(&["feature", ">latent", ">F1", "fires on"]);
    for f in found.readable.iter().take(SHOWN) {
        let context = f.contexts.first().map_or_else(String::new, |c| drawn(c, style));
        features.row([f.meaning.clone(), f.latent.to_string(), figure(f.f1), context]);
    }
    let kept =
        out.map(|o| format!("The dictionary is in {}: sparsescope features {0}\n", o.display()));
    [
        head,
        eval::figures(&found.evaluation).render(style),
        "\nWhat its latents tell, as the grammar knows it:\n\n".to_owned(),
        features.render(style),
        "\nHow well it holds the truth, and whether the model uses it:\n\n".to_owned(),
        truth::text(truth, style),
        format!(
            "{} in all, {} of it training.\n",
            duration(Duration::from_secs_f64(found.seconds.max(0.0))),
            duration(Duration::from_secs_f64(found.training_seconds.max(0.0)))
        ),
        kept.unwrap_or_default(),
    ]
    .concat()
}

/// A folder that is gone when the tour is over.
struct Passing(PathBuf);

impl Passing {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("sparsescope-demo-{}", std::process::id())))
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
