//! `sweep`: several dictionaries on one pass over the activations.

use super::input::{ModelArgs, TextArgs, open_model, usual_rows};
use super::report::Report;
use super::table::{Style, Table, count, duration, figure, percent};
use super::train::ScheduleArg;
use super::train::request::{Rows, TrainRequest};
use super::{Global, watch};
use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sparsescope::work::sweep::{EVALUATED, SweepRequest, planned};
use sparsescope_core::activations::StreamSpec;
use sparsescope_core::corpus::CorpusSpec;
use sparsescope_core::evaluation::{Evaluation, evaluate};
use sparsescope_core::jobs::JobContext;
use sparsescope_core::llama::{Model, Site};
use sparsescope_core::sae::Architecture;
use sparsescope_core::training::{
    RunEvent, SweepRun, SweepSpec, TrainConfig, TrainEvent, check_free, train_all,
};
use sparsescope_core::{Error, IoContext as _, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Train sites × architectures × L0s on one pass over the activations
#[derive(Args, Clone)]
#[command(after_help = "\
Each token is read from the model once, whatever the number of dictionaries. Where an architecture
keeps k latents, k is the L0; where it has a penalty, short probes find the coefficient that leads
to the L0. A dictionary comes out bit for bit as `train` makes it alone with the same settings.

Ctrl-C stops cleanly; --resume --out DIR goes on with all of them.

Examples:
  sparsescope sweep --site resid.1,resid.2 --arch topk,standard --l0 8,16,32 --out my-sweep
  sparsescope sweep --site all --l0 16 --latents 512 --out at-every-site
  sparsescope sweep --resume --out my-sweep --json")]
pub struct SweepArgs {
    #[command(flatten)]
    pub model: ModelArgs,
    #[command(flatten)]
    pub text: TextArgs,
    /// The sites, or `all` [default: resid.L of the middle block]
    #[arg(long, value_delimiter = ',', value_name = "SITES")]
    pub site: Vec<String>,
    /// The architectures [default: topk]
    #[arg(long, value_delimiter = ',', value_name = "NAMES", help_heading = "Dictionaries")]
    pub arch: Vec<String>,
    /// The L0s: mean numbers of active latents a token [default: 8,16,32]
    #[arg(long, value_delimiter = ',', value_name = "NUMBERS", help_heading = "Dictionaries")]
    pub l0: Vec<f64>,
    /// Number of latents of each [default: 1024]
    #[arg(long, value_name = "N", help_heading = "Dictionaries")]
    pub latents: Option<usize>,
    /// Folder to hold them all, each in a folder of its own
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Go on with the sweep that was broken off in the folder
    #[arg(long)]
    pub resume: bool,
    /// Tokens to train each on [default: 2000000]
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub tokens: Option<u64>,
    /// Tokens a step [default: 2048]
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub batch: Option<usize>,
    /// Peak learning rate of all [default: by architecture and latents]
    #[arg(long, value_name = "X", help_heading = "Training")]
    pub lr: Option<f64>,
    /// constant, linear:FROM, cosine or restarts:N [default: linear:0.8]
    #[arg(long, value_name = "HOW", help_heading = "Training")]
    pub schedule: Option<ScheduleArg>,
    /// Tokens of a probe [default: a tenth of the tokens; 100 to 400 steps]
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub probe_tokens: Option<u64>,
    /// Tokens between checkpoints [default: 500000]
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub checkpoint_every: Option<u64>,
    /// Tokens to evaluate each on
    #[arg(long, value_name = "N", default_value_t = EVALUATED)]
    pub eval_tokens: u64,
}

/// What a sweep was begun with and what it settled on, kept in its folder.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Kept {
    model: PathBuf,
    request: SweepRequest,
    runs: Vec<SweepRun>,
}

/// Its name in the sweep's folder.
const FILE: &str = "sweep.json";

/// Name of an evaluation in a dictionary's folder.
const EVALUATION: &str = "evaluation.json";

/// A dictionary of the sweep and what became of it.
struct Ended {
    run: SweepRun,
    site: Site,
    folder: PathBuf,
    outcome: Result<Evaluation>,
}

/// Sweeps.
///
/// # Errors
/// Bad settings, unreadable input, a folder that is taken; cancelled; every dictionary failed.
pub fn run(args: &SweepArgs, global: &Global) -> Result<Report> {
    let (asked, settings) = (args.clone(), global.clone());
    let since = Instant::now();
    let mut kept = false;
    let hear = |told: RunEvent| match told.event {
        TrainEvent::Point(point) => {
            Some(format!("dictionary {}: {}", told.run + 1, super::train::remark(&point)))
        }
        TrainEvent::Saved { .. } => {
            kept = true;
            None
        }
        TrainEvent::Resampled { .. } => None,
    };
    let outcome = watch::run("Sweep", hear, move |ctx| sweep(ctx, &asked, &settings));
    let ended = outcome.map_err(|error| match error.is_cancelled() && kept {
        true => Error {
            remedy: format!("Go on with: sparsescope sweep --resume --out {}", args.out.display()),
            ..error
        },
        false => error,
    })?;
    report(&ended, &args.out, since)
}

fn sweep(ctx: &JobContext<RunEvent>, args: &SweepArgs, global: &Global) -> Result<Vec<Ended>> {
    let found = read(&args.out)?;
    let (kept, model) = match found {
        Some(kept) if args.resume => {
            let model = open_model(ctx, &kept.model, global)?;
            kept.request.check(&model)?;
            (kept, model)
        }
        Some(_) => {
            return Err(Error::setting(
                format!("No new sweep can begin in {}", args.out.display()),
                "the folder holds another",
                "Choose another folder, or go on with it (--resume)",
            ));
        }
        None => {
            let path = args.model.path()?;
            let model = open_model(ctx, &path, global)?;
            let request = request(args, &model, global)?;
            request.check(&model)?;
            fs::create_dir_all(&args.out)
                .doing(|| format!("Could not make {}", args.out.display()))?;
            let runs = request.plan(ctx, &model)?;
            let kept = Kept { model: path, request, runs };
            for (run, folder) in folders(&kept, &args.out) {
                if run.unreachable.is_none() {
                    check_free(&folder)?;
                }
            }
            write(&args.out.join(FILE), &kept)?;
            (kept, model)
        }
    };
    let all = folders(&kept, &args.out);
    let mut plans = Vec::new();
    for (run, folder) in all.iter().filter(|(run, _)| run.unreachable.is_none()) {
        // What `eval`, `features` and `train --resume` look for beside a dictionary.
        let stream =
            StreamSpec { site: kept.request.sites[run.site], ..kept.request.stream.clone() };
        let rows = Rows::Model { model: kept.model.clone(), stream, to: None };
        TrainRequest { rows, config: run.config.clone() }.keep_in(folder)?;
        plans.push(planned(run, folder.clone()));
    }
    let mut outcomes = match plans.is_empty() {
        true => Vec::new(),
        false => train_all(ctx, &mut kept.request.open(&model)?, plans, true)?,
    }
    .into_iter();
    let spec = kept.request.evaluation(args.eval_tokens);
    let mut ended = Vec::new();
    for (run, folder) in all {
        let outcome = match run.refusal() {
            Some(refused) => Err(refused),
            None => match outcomes.next() {
                Some(Ok(sae)) => {
                    let evaluation = evaluate(ctx, &model, &sae, &spec)?;
                    write(&folder.join(EVALUATION), &evaluation)?;
                    Ok(evaluation)
                }
                Some(Err(error)) => Err(error),
                None => Err(Error::internal("A dictionary got lost", "it has no outcome")),
            },
        };
        let site = kept.request.sites[run.site];
        ended.push(Ended { run, site, folder, outcome });
    }
    Ok(ended)
}

fn request(args: &SweepArgs, model: &Model, global: &Global) -> Result<SweepRequest> {
    let layers = model.config().layers;
    let sites = match &args.site[..] {
        [] => vec![Site::Resid(layers.saturating_sub(1) / 2)],
        [all] if all == "all" => Site::all(layers),
        named => {
            named.iter().map(|name| name.parse::<Site>()?.within(layers)).collect::<Result<_>>()?
        }
    };
    let names = if args.arch.is_empty() { vec!["topk".to_owned()] } else { args.arch.clone() };
    let targets = if args.l0.is_empty() { vec![8.0, 16.0, 32.0] } else { args.l0.clone() };
    let mut configs = Vec::new();
    for name in &names {
        let k = targets.first().map_or(16, |t| t.max(1.0) as usize);
        let mut config =
            TrainConfig::preset(Architecture::named(name, k)?, args.latents.unwrap_or(1024));
        config.tokens = args.tokens.unwrap_or(config.tokens);
        config.batch = args.batch.unwrap_or(config.batch);
        config.lr = args.lr.unwrap_or(config.lr);
        config.schedule = args.schedule.map_or(config.schedule, |s| s.0);
        config.checkpoint_every = args.checkpoint_every.unwrap_or(config.checkpoint_every);
        config.evaluate_every = 0;
        config.seed = global.seed();
        configs.push(config);
    }
    let corpus = args.text.corpus()?.unwrap_or(CorpusSpec::Builtin(None));
    let rows = args.text.rows(usual_rows(model));
    let site = sites.first().copied().unwrap_or(Site::Embed);
    let stream = StreamSpec {
        seed: global.seed(),
        ..StreamSpec::new(site, corpus, rows, model.config().width)
    };
    let probe_tokens = args.probe_tokens.unwrap_or_else(|| SweepSpec::usual_probe(&configs));
    let spec = SweepSpec { sites: sites.len(), configs, targets, probe_tokens };
    Ok(SweepRequest { sites, stream, spec })
}

/// Every run with the folder it has within `out`.
fn folders(kept: &Kept, out: &Path) -> Vec<(SweepRun, PathBuf)> {
    let folder = |run: &SweepRun| {
        let name = run.config.architecture.name();
        out.join(format!("{name}-{}-l0-{}", kept.request.sites[run.site], run.target))
    };
    kept.runs.iter().map(|run| (run.clone(), folder(run))).collect()
}

fn read(out: &Path) -> Result<Option<Kept>> {
    let path = out.join(FILE);
    let what = || format!("Could not read {}", path.display());
    let text = match fs::read(&path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        other => other.doing(what)?,
    };
    serde_json::from_slice(&text)
        .map(Some)
        .map_err(|e| Error::format(what(), e.to_string(), "Begin the sweep in another folder"))
}

fn write(path: &Path, what: &impl Serialize) -> Result<()> {
    let text = serde_json::to_vec_pretty(what)
        .map_err(|e| Error::internal("A file could not be written", e.to_string()))?;
    let beside = path.with_extension("tmp");
    let put = || {
        let mut file = fs::File::create(&beside)?;
        std::io::Write::write_all(&mut file, &text)?;
        file.sync_all()?;
        fs::rename(&beside, path)
    };
    put().doing(|| format!("Could not write {}", path.display()))
}

fn report(ended: &[Ended], out: &Path, since: Instant) -> Result<Report> {
    // Where nothing came out, the first error is the outcome.
    if ended.iter().all(|e| e.outcome.is_err())
        && let Some(Err(error)) = ended.first().map(|e| &e.outcome)
    {
        return Err(error.clone());
    }
    let style = Style::of_stdout();
    let mut table = Table::new(&[
        "architecture",
        "site",
        ">sparsity",
        ">L0 wanted",
        ">L0",
        ">FVU",
        ">recovered",
        ">γ",
        ">dead",
    ]);
    let mut tail = String::new();
    let mut saes = Vec::new();
    for e in ended {
        let config = &e.run.config;
        let name = config.architecture.name();
        let k = config.architecture.k();
        let strength = k.map_or_else(|| format!("λ {}", figure(config.l1)), |k| format!("k {k}"));
        let mut entry = json!({
            "architecture": name, "site": e.site.to_string(), "latents": config.latents,
            "target_l0": e.run.target, "probed_l0": e.run.probed, "k": k,
            "coefficient": if k.is_none() { Some(config.l1) } else { None }, "lr": config.lr,
            "tokens": config.tokens, "folder": e.folder,
        });
        match &e.outcome {
            Ok(found) => {
                let recovered = found.loss.map(|l| l.recovered);
                table.row([
                    name.to_owned(),
                    e.site.to_string(),
                    strength,
                    figure(e.run.target),
                    figure(found.l0),
                    figure(found.fvu),
                    recovered.map_or_else(|| "–".to_owned(), percent),
                    figure(found.gamma),
                    percent(found.dead),
                ]);
                entry["l0"] = json!(found.l0);
                entry["fvu"] = json!(found.fvu);
                entry["loss_recovered"] = json!(recovered);
                entry["gamma"] = json!(found.gamma);
                entry["dead"] = json!(found.dead);
                entry["eval_tokens"] = json!(found.tokens);
            }
            Err(error) => {
                tail += &format!("{name} on {}, L0 {}: {error}\n", e.site, e.run.target);
                entry["error"] = json!({
                    "what": error.what, "why": error.why, "remedy": error.remedy,
                });
                if let Some((least, most)) = e.run.unreachable {
                    entry["reachable_l0"] = json!([least, most]);
                }
            }
        }
        saes.push(entry);
    }
    let json = json!({ "out": out, "seconds": since.elapsed().as_secs_f64(), "saes": saes });
    let done = ended.iter().filter(|e| e.outcome.is_ok()).count();
    tail += &format!(
        "\n{} dictionaries in {} after {}. Drop the folder on the window to compare them.\n",
        count(done as u64),
        out.display(),
        duration(since.elapsed())
    );
    Report::new(&json, table.render(style) + &style.dim(&tail))
}
