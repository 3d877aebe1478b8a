//! `train`: a dictionary from a model and a text.

pub mod request;

use super::input::{ModelArgs, TextArgs, open_model};
use super::report::Report;
use super::table::{Style, Table, count, duration, figure, percent};
use super::{Global, watch};
use clap::Args;
use request::{Rows, TrainRequest};
use serde_json::json;
use sparsescope_core::activations::{
    LiveSource, PairedSource, Source as _, StoreSource, StreamSpec,
};
use sparsescope_core::evaluation::LossProbe;
use sparsescope_core::jobs::JobContext;
use sparsescope_core::llama::{Model, Site, memory};
use sparsescope_core::sae::Sae;
use sparsescope_core::training::{self, BiasStart, PRESETS, Schedule, TrainEvent, TrainPoint};
use sparsescope_core::{Error, Result, device};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Instant;

/// Train a sparse autoencoder on a model's activations
#[derive(Args, Clone)]
#[command(after_help = "\
Ctrl-C stops cleanly: a checkpoint is written, and --resume goes on from it to the same weights as
if nothing had happened. After a kill the last checkpoint serves.

Examples:
  sparsescope train --site resid.2 --latents 1024 --k 16 --out my-sae
  sparsescope train --model ~/models/TinyLlama --corpus stories.txt --site resid.11 \\
      --latents 16384 --k 32 --tokens 50000000 --out big-sae
  sparsescope train --resume --out big-sae")]
pub struct TrainArgs {
    #[command(flatten)]
    pub model: ModelArgs,
    /// Folder of stored activations to train on, instead of a model and a text
    #[arg(long, value_name = "DIR", conflicts_with_all = ["model", "corpus", "split", "bos", "row_length", "site", "buffer", "leave_out_outliers"])]
    pub activations: Option<PathBuf>,
    /// The site to train on [default: resid.L of the middle block]
    #[arg(long)]
    pub site: Option<Site>,
    /// Of a transcoder: the site that it gives, from what is at --site
    #[arg(long, value_name = "SITE", conflicts_with = "activations")]
    pub to: Option<Site>,
    /// Folder of the dictionary; must not hold another
    #[arg(long, value_name = "DIR", required_unless_present = "list_presets")]
    pub out: Option<PathBuf>,
    /// Say what presets there are, where their values are from and what of them is left out
    #[arg(long)]
    pub list_presets: bool,
    /// Begin from the published settings of a source (see --list-presets)
    #[arg(long, value_name = "NAME", conflicts_with_all = ["arch", "resume"])]
    pub preset: Option<String>,
    /// Find coefficient and learning rate by short probes, for the L0 of --target-l0 or --k
    #[arg(long, conflicts_with_all = ["resume", "activations", "to"])]
    pub auto: bool,
    /// Go on with the run that was broken off in the folder
    #[arg(long)]
    pub resume: bool,
    #[command(flatten)]
    pub text: TextArgs,
    /// topk, batchtopk, matryoshka, multi-topk, groupmax, standard (unit-norm decoder),
    /// standard-april (norm-weighted), panneal, gated, jumprelu, jumprelu-tanh or jumprelu-target
    /// [default: topk]
    #[arg(long, value_name = "NAME", help_heading = "Dictionary")]
    pub arch: Option<String>,
    /// Number of latents [default: 1024]
    #[arg(long, value_name = "N", help_heading = "Dictionary")]
    pub latents: Option<usize>,
    /// Latents kept for each token, for those that keep k; of jumprelu-target the L0 [default: 16]
    #[arg(long, value_name = "N", help_heading = "Dictionary")]
    pub k: Option<usize>,
    /// L0 that the coefficient of a penalty follows
    #[arg(long, value_name = "X", help_heading = "Dictionary")]
    pub target_l0: Option<f64>,
    /// Let x also reach the output by a matrix of its own, for transcoders
    #[arg(long, requires = "to", help_heading = "Dictionary")]
    pub skip: bool,
    /// Draw encoder rows apart from the directions
    #[arg(long, help_heading = "Dictionary")]
    pub untied: bool,
    /// Norm at which directions and encoder rows begin [default: by architecture]
    #[arg(long, value_name = "X", help_heading = "Dictionary")]
    pub init_norm: Option<f32>,
    /// Share of latents that begin dead, to see what revives them [default: 0]
    #[arg(long, value_name = "SHARE", help_heading = "Dictionary")]
    pub begin_dead: Option<f64>,
    /// Where the decoder bias begins: zero, mean or median [default: by architecture]
    #[arg(long, value_name = "HOW", help_heading = "Dictionary")]
    pub bias_start: Option<BiasArg>,
    /// Tokens to train on in all [default: 2000000]
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub tokens: Option<u64>,
    /// Tokens a step [default: 2048]
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub batch: Option<usize>,
    /// Peak learning rate [default: by architecture and latents]
    #[arg(long, value_name = "X", help_heading = "Training")]
    pub lr: Option<f64>,
    /// constant, linear:FROM (falls from that share of the run on), cosine or restarts:N
    /// [default: linear:0.8]
    #[arg(long, value_name = "HOW", help_heading = "Training")]
    pub schedule: Option<ScheduleArg>,
    /// Steps of learning-rate warm-up [default: 50]
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub warmup_steps: Option<u64>,
    /// Weight of the sparsity penalty, for architectures without a k [default: by architecture]
    #[arg(long, value_name = "X", help_heading = "Training")]
    pub l1: Option<f64>,
    /// Steps over which the penalty grows to its full size [default: 100]
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub sparsity_warmup_steps: Option<u64>,
    /// Tokens of silence after which a latent counts as dead [default: 500000]
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub dead_after: Option<u64>,
    /// Weight of the auxiliary loss on dead latents, for topk; 0 for none [default: 1/32]
    #[arg(long, value_name = "X", help_heading = "Training")]
    pub aux_weight: Option<f64>,
    /// Resample dead latents every so many steps, until a last one
    #[arg(long, value_name = "EVERY:UNTIL", help_heading = "Training")]
    pub resample: Option<Pair>,
    /// Let k fall from a greater one over so many steps
    #[arg(long, value_name = "FROM:STEPS", help_heading = "Training")]
    pub k_anneal: Option<Pair>,
    /// Save the moving average of the weights, with this decay a step
    #[arg(long, value_name = "X", help_heading = "Training")]
    pub ema: Option<f64>,
    /// Rows of the shuffle buffer [default: 65536, or what fits into 512 MiB]
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub buffer: Option<usize>,
    /// Leave out tokens whose activation is more than ten times as long as the median
    #[arg(long, help_heading = "Training")]
    pub leave_out_outliers: bool,
    /// Tokens between checkpoints [default: 500000]
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub checkpoint_every: Option<u64>,
    /// Tokens between measurements of loss recovered; 0 for none [default: 250000]
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub evaluate_every: Option<u64>,
}

/// Two numbers as they are written in a command: `25000:100000`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair(pub u64, pub u64);

impl FromStr for Pair {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let pair =
            text.split_once(':').and_then(|(a, b)| Some(Self(a.parse().ok()?, b.parse().ok()?)));
        pair.ok_or_else(|| {
            Error::setting(
                format!("{text:?} cannot be read"),
                "two whole numbers with a colon between them are due",
                "Write for example 1000:5000",
            )
        })
    }
}

/// Where a decoder bias begins, as it is written in a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BiasArg(pub BiasStart);

impl FromStr for BiasArg {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "zero" => Ok(Self(BiasStart::Zero)),
            "mean" => Ok(Self(BiasStart::Mean)),
            "median" => Ok(Self(BiasStart::GeometricMedian)),
            _ => Err(Error::setting(
                format!("A bias cannot begin at {text:?}"),
                "the known places are zero, mean and median",
                "Choose one of these",
            )),
        }
    }
}

impl TrainArgs {
    /// Folder of the dictionary.
    fn out(&self) -> &Path {
        self.out.as_deref().unwrap_or(Path::new("."))
    }
}

/// A schedule as it is written in a command.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScheduleArg(pub Schedule);

impl FromStr for ScheduleArg {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let unknown = || {
            Error::setting(
                format!("No schedule is called {text:?}"),
                "the known ones are constant, linear:FROM, cosine and restarts:N",
                "Write for example linear:0.8",
            )
        };
        let (name, number) = text.split_once(':').unwrap_or((text, ""));
        match (name, number) {
            ("constant", "") => Ok(Schedule::Constant),
            ("cosine", "") => Ok(Schedule::Cosine),
            ("linear", n) => {
                n.parse().map(|from| Schedule::LinearDecay { from }).map_err(|_| unknown())
            }
            ("restarts", n) => {
                n.parse().map(|cycles| Schedule::CosineRestarts { cycles }).map_err(|_| unknown())
            }
            _ => Err(unknown()),
        }
        .map(Self)
    }
}

/// Trains.
///
/// # Errors
/// Bad settings, unreadable input, a folder that cannot be written or is taken; cancelled.
pub fn run(args: &TrainArgs, global: &Global) -> Result<Report> {
    if args.list_presets {
        return presets();
    }
    let (asked, settings) = (args.clone(), global.clone());
    let since = Instant::now();
    let mut last = None;
    let mut kept = false;
    let hear = |event: TrainEvent| match event {
        TrainEvent::Point(point) => {
            last = Some(point);
            Some(remark(&point))
        }
        TrainEvent::Saved { .. } => {
            kept = true;
            None
        }
        TrainEvent::Resampled { .. } => None,
    };
    let outcome = watch::run("Train", hear, move |ctx| train(ctx, &asked, &settings));
    let sae = outcome.map_err(|error| match error.is_cancelled() && kept {
        true => Error {
            remedy: format!(
                "Go on with: sparsescope train --resume --out {}",
                args.out().display()
            ),
            ..error
        },
        false => error,
    })?;
    report(&sae, last.as_ref(), args.out(), since)
}

fn train(ctx: &JobContext<TrainEvent>, args: &TrainArgs, global: &Global) -> Result<Sae> {
    let kept = if args.resume { TrainRequest::kept_in(args.out())? } else { None };
    let kept = kept.map(|request| request.same_as_asked(args, global)).transpose()?;
    let store = match (&kept, &args.activations) {
        (Some(TrainRequest { rows: Rows::Store { activations }, .. }), _) => Some(activations),
        (None, Some(activations)) => Some(activations),
        _ => None,
    };
    if let Some(path) = store {
        let mut source =
            StoreSource::open(path, kept.as_ref().map_or(global.seed(), |r| r.config.seed))?;
        let request = kept.clone().map_or_else(|| TrainRequest::stored(args, path, global), Ok)?;
        let needed = needed(&request, source.width())?;
        memory::check_fits("train", needed, &device::choose("cpu")?)?;
        begin(&request, args)?;
        return training::train(ctx, &mut source, None, &request.config, args.out(), args.resume);
    }
    let path = match &kept {
        Some(TrainRequest { rows: Rows::Model { model, .. }, .. }) => model.clone(),
        _ => args.model.path()?,
    };
    let model = open_model(ctx, &path, global)?;
    let mut request = kept.map_or_else(|| TrainRequest::live(args, &path, &model, global), Ok)?;
    let rows = request.rows.clone();
    let Rows::Model { stream, to, .. } = &rows else {
        return Err(Error::internal("The run cannot begin", "its rows come from nowhere"));
    };
    let transcodes = matches!(&request.rows, Rows::Model { to: Some(_), .. });
    let row_width = model.config().width * if transcodes { 2 } else { 1 };
    let needed = needed(&request, row_width)?;
    let sites: Vec<Site> = [Some(stream.site), *to].into_iter().flatten().collect();
    let source = LiveSource::memory_of(&model, stream, &sites);
    memory::check_fits("train", needed.saturating_add(source), model.device())?;
    let mut source = LiveSource::several(model.clone(), stream.clone(), &sites)?;
    if args.auto {
        let config = &request.config;
        let k = config.architecture.k().map(|k| k as f64);
        let target = args.target_l0.or(k).unwrap_or_else(|| args.k.unwrap_or(16) as f64);
        let probe = training::SweepSpec::usual_probe(std::slice::from_ref(config));
        let chosen = training::auto(ctx, &mut source, config, target, probe)?;
        chosen.reasons.iter().for_each(|reason| ctx.log(reason.clone()));
        request.config = chosen.config;
    }
    begin(&request, args)?;
    // What a transcoder gives stands at another site than what it reads: no loss is measured.
    let probe = match request.config.evaluate_every {
        _ if to.is_some() => None,
        0 => None,
        _ => Some(probe(ctx, &model, stream)?),
    };
    let check = || ctx.check();
    let mut evaluate = probe.map(|p| move |sae: &Sae| p.evaluate(sae, &check));
    let evaluate = evaluate.as_mut().map(|e| e as training::Evaluate<'_>);
    let trained = if to.is_some() {
        let mut pairs = PairedSource::new(&mut source)?;
        training::train(ctx, &mut pairs, evaluate, &request.config, args.out(), args.resume)?
    } else {
        training::train(ctx, &mut source, evaluate, &request.config, args.out(), args.resume)?
    };
    source.note().into_iter().for_each(|note| ctx.log(note));
    Ok(trained)
}

/// Bytes that the training needs beside its rows, if its settings make sense.
fn needed(request: &TrainRequest, width: usize) -> Result<u64> {
    request.config.validate(width)?;
    Ok(training::memory_needed(&request.config, width))
}

/// Writes down what the run is begun with, in a folder that holds no other.
fn begin(request: &TrainRequest, args: &TrainArgs) -> Result<()> {
    if !args.resume {
        training::check_free(args.out())?;
    }
    request.keep_in(args.out())
}

/// Measures loss recovered on a small sample while the training runs.
fn probe(ctx: &JobContext<TrainEvent>, model: &Model, stream: &StreamSpec) -> Result<LossProbe> {
    ctx.progress().stage("Measuring the model's own loss", "", 0, 0);
    let check = || ctx.check();
    LossProbe::new(model, stream.site, &stream.corpus, stream.rows, PROBED, stream.seed, &check)
}

/// Tokens of the sample on which loss recovered is measured while the training runs.
const PROBED: u64 = 4096;

/// Every preset, with its source.
fn presets() -> Result<Report> {
    let all: Vec<_> = PRESETS
        .iter()
        .map(|p| {
            json!({ "name": p.name, "architecture": p.architecture, "source": p.source,
                "not_taken_over": p.not_taken })
        })
        .collect();
    let text = PRESETS.iter().fold(String::new(), |text, p| {
        text + &format!(
            "{}\n    {}; from {}\n    not taken over: {}\n",
            p.name, p.architecture, p.source, p.not_taken
        )
    });
    Report::new(&json!({ "presets": all }), text)
}

fn report(sae: &Sae, last: Option<&TrainPoint>, out: &Path, since: Instant) -> Result<Report> {
    let last = last.copied().or_else(|| sae.about.history.last().copied());
    let json = json!({
        "out": out,
        "hash": sae.hash(),
        "architecture": sae.architecture,
        "latents": sae.latents(),
        "width": sae.width(),
        "trained_on": sae.about.trained_on,
        "config": sae.about.config,
        "tokens": sae.about.tokens,
        "seconds": since.elapsed().as_secs_f64(),
        "last_point": last,
    });
    let style = Style::of_stdout();
    let mut table =
        Table::new(&["SAE", "site", ">latents", ">tokens", ">loss", ">FVU", ">L0", ">dead"]);
    let site = sae.about.trained_on.as_ref().map_or_else(String::new, |p| p.site.to_string());
    let p = last.unwrap_or_default();
    table.row([
        sae.architecture.name().to_owned(),
        site,
        count(sae.latents() as u64),
        count(p.tokens),
        figure(p.loss),
        figure(p.fvu),
        figure(p.l0),
        percent(p.dead),
    ]);
    let tail = format!(
        "\n{} after {}; loss, FVU and L0 are of the last batch.\nNext: sparsescope eval {}\n",
        out.display(),
        duration(since.elapsed()),
        out.display()
    );
    Report::new(&json, table.render(style) + &style.dim(&tail))
}

/// A point of the curves in a few words.
pub fn remark(point: &TrainPoint) -> String {
    let recovered = point.loss_recovered.map(|r| format!(", loss recovered {}", percent(r)));
    format!(
        "loss {}, FVU {}, L0 {}, dead {}{}",
        figure(point.loss),
        figure(point.fvu),
        figure(point.l0),
        percent(point.dead),
        recovered.unwrap_or_default()
    )
}
