//! `label`: what latents mean, in words: by hand, or by a language model whose price is shown and
//! agreed to before anything is sent.

use super::report::Report;
use super::table::{Style, Table, count};
use super::{Global, label_import, watch};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;
use sparsescope::app::default_workspace;
use sparsescope::work::labels::model_of;
use sparsescope_core::jobs::JobContext;
use sparsescope_core::labels::{
    self, Agreed, Delivery, Endpoint, Estimate, Judged, KeySource, LabelNews, LabelRequest,
    LabelRunId, LabelRunStatus, Labelled, Limits, NewLabel, Prepared, Price, Protocol, RULE,
    RunView, Source, WallClock,
};
use sparsescope_core::sae::Sae;
use sparsescope_core::workspace::{SaeId, Workspace};
use sparsescope_core::{Error, Result};
use std::io::{BufRead as _, IsTerminal as _};
use std::path::PathBuf;

/// Label latents of a dictionary of the workspace by a language model, or by hand
#[derive(Args, Clone)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = "\
Nothing is sent before the cost was shown and agreed to: at the prompt, by --max-price, or by --yes.
Keys are read from the environment variable or the keyring entry that --key names; the usual ones
are OPENAI_API_KEY and ANTHROPIC_API_KEY. A run that was stopped goes on with --resume.

Examples:
  sparsescope label --sae 3 --endpoint http://localhost:8080/v1 --no-key --model qwen
  sparsescope label --sae 3 --endpoint anthropic --model NAME --batch --price 3,15 --max-price 1.50
  sparsescope label --retrieve 7
  sparsescope label set --sae 3 --latent 12 \"plural nouns\"")]
pub struct LabelArgs {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    within: Within,
    /// Number of the dictionary in the workspace
    #[arg(long, value_name = "ID")]
    sae: Option<SaeId>,
    /// Whom to ask: openai, anthropic, or the address of a server
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// How the server is spoken to [default: anthropic if its address says so, else openai]
    #[arg(long, value_enum, value_name = "KIND")]
    protocol: Option<Kind>,
    /// The language model, by the name the server knows
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Environment variable or keyring entry that holds the key
    #[arg(long, value_name = "NAME", conflicts_with = "no_key")]
    key: Option<String>,
    /// The server wants no key
    #[arg(long)]
    no_key: bool,
    /// Latents to label: 3,17,40-59
    #[arg(long, value_name = "LIST")]
    latents: Option<String>,
    /// Without --latents: so many of those without a label, the most frequent first
    #[arg(long, default_value_t = 20, value_name = "N")]
    top: usize,
    /// Send batches, to be retrieved later (Anthropic)
    #[arg(long)]
    batch: bool,
    /// Do not judge the labels on other examples
    #[arg(long)]
    no_judge: bool,
    /// Dollars for a million tokens read and written; kept for this model
    #[arg(long, value_name = "IN,OUT")]
    price: Option<String>,
    /// Requests a minute at most
    #[arg(long, value_name = "N")]
    requests_a_minute: Option<u32>,
    /// Tokens a minute at most
    #[arg(long, value_name = "N")]
    tokens_a_minute: Option<u64>,
    /// Folder of the Llama [default: where it was last found]
    #[arg(long, value_name = "DIR")]
    llama: Option<PathBuf>,
    /// Agree to the estimate without being asked
    #[arg(long)]
    yes: bool,
    /// Agree if it costs so many dollars at most
    #[arg(long, value_name = "DOLLARS", conflicts_with = "yes")]
    max_price: Option<f64>,
    /// Only show what it would cost
    #[arg(long)]
    dry_run: bool,
    /// Go on with a run that was stopped
    #[arg(long, value_name = "RUN")]
    resume: Option<LabelRunId>,
    /// Fetch what the batches of a run have brought
    #[arg(long, value_name = "RUN")]
    retrieve: Option<LabelRunId>,
    /// Ask the server to stop the batches of a run
    #[arg(long, value_name = "RUN")]
    call_back: Option<LabelRunId>,
    /// List the runs of labelling
    #[arg(long)]
    runs: bool,
}

/// The workspace that is meant.
#[derive(Args, Clone)]
pub struct Within {
    /// The workspace's folder [default: the user's data folder]
    #[arg(long, value_name = "DIR", global = true)]
    workspace: Option<PathBuf>,
}

impl Within {
    /// Opens it.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn open(&self) -> Result<Workspace> {
        Workspace::open(&self.workspace.clone().unwrap_or_else(default_workspace))
    }
}

#[derive(Subcommand, Clone)]
enum Action {
    /// Give a latent a label by hand
    Set {
        /// Number of the dictionary in the workspace
        #[arg(long, value_name = "ID")]
        sae: SaeId,
        /// The latent
        #[arg(long, value_name = "N")]
        latent: u32,
        /// What it stands for
        text: String,
    },
    /// Take labels from a file
    Import(label_import::ImportArgs),
    /// Take the label of a latent back: the one before it returns
    Undo {
        /// Number of the dictionary in the workspace
        #[arg(long, value_name = "ID")]
        sae: SaeId,
        /// The latent
        #[arg(long, value_name = "N")]
        latent: u32,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    /// Chat completions
    Openai,
    /// Messages
    Anthropic,
}

/// Does what is asked.
///
/// # Errors
/// Arguments that do not go together; what [`labels::plan`] and [`labels::run`] refuse.
pub fn run(args: &LabelArgs, global: &Global) -> Result<Report> {
    let mut workspace = args.within.open()?;
    match &args.action {
        Some(Action::Set { sae, latent, text }) => {
            workspace.add_label(*sae, NewLabel::by_hand(*latent, text.as_str()))?;
            return shown(&workspace, *sae, *latent);
        }
        Some(Action::Undo { sae, latent }) => {
            workspace.undo_label(*sae, *latent)?;
            return shown(&workspace, *sae, *latent);
        }
        Some(Action::Import(args)) => return label_import::run(workspace, args),
        None => {}
    }
    if args.runs {
        return listed(&workspace, args.sae);
    }
    if let Some(id) = args.resume.or(args.retrieve) {
        return ended(go_on(workspace, id)?);
    }
    if let Some(id) = args.call_back {
        let root = workspace.root().to_owned();
        let n = watch::run("Call back", heard, move |ctx| {
            let mut workspace = Workspace::open(&root)?;
            labels::cancel_batches(ctx, &mut workspace, id, &WallClock::default())
        })?;
        let text = format!(
            "{n} batches were called back. Fetch what they had answered by then:\n  sparsescope label --retrieve {id}\n"
        );
        return Report::new(&json!({"run": id, "called_back": n}), text);
    }
    let request = request(args, &workspace)?;
    if let Some(price) = &args.price {
        labels::set_price(&workspace, &request.endpoint.model, Some(parse_price(price)?))?;
    }
    let prepared = prepare(args, global, &workspace, &request)?;
    let estimate = prepared.estimate();
    let told = told(&prepared);
    if args.dry_run {
        return Report::new(estimate, told);
    }
    let agreed = agree(args, estimate, &told)?;
    let confirmed = estimate.confirm(agreed)?;
    let id = labels::begin(&mut workspace, &prepared, &confirmed)?;
    ended(go_on(workspace, id)?)
}

fn request(args: &LabelArgs, workspace: &Workspace) -> Result<LabelRequest> {
    let missing = |what: &str, remedy: &str| {
        Error::setting("Nothing can be labelled", format!("{what} is not named"), remedy)
    };
    let sae = args.sae.ok_or_else(|| missing("the dictionary", "Give its number as --sae"))?;
    let named = args.endpoint.as_deref();
    let named = named
        .ok_or_else(|| missing("the server", "Give --endpoint openai, anthropic or an address"))?;
    let model = args.model.clone();
    let model = model.ok_or_else(|| missing("the language model", "Give its name as --model"))?;
    let protocol = match args.protocol {
        Some(Kind::Openai) => Protocol::OpenAi,
        Some(Kind::Anthropic) => Protocol::Anthropic,
        None if named.to_lowercase().contains("anthropic") => Protocol::Anthropic,
        None => Protocol::OpenAi,
    };
    let mut endpoint = Endpoint::usual(protocol, model);
    if named.contains(':') {
        named.clone_into(&mut endpoint.url);
    } else if !matches!(named.to_lowercase().as_str(), "openai" | "anthropic") {
        return Err(Error::setting(
            "Nothing can be labelled",
            format!("{named} is no server"),
            "Give --endpoint openai, anthropic or an address such as http://localhost:8080/v1",
        ));
    }
    if args.no_key {
        endpoint.key = KeySource::None;
    } else if let Some(name) = &args.key {
        endpoint.key = KeySource::Named(name.clone());
    }
    let usual = Limits::default();
    Ok(LabelRequest {
        sae,
        latents: chosen(args, workspace, sae)?,
        endpoint,
        delivery: if args.batch { Delivery::Batch } else { Delivery::Direct },
        limits: Limits {
            requests_a_minute: args.requests_a_minute.unwrap_or(usual.requests_a_minute),
            tokens_a_minute: args.tokens_a_minute.unwrap_or(usual.tokens_a_minute),
            ..usual
        },
        counts: Default::default(),
        judge: !args.no_judge,
        seed: 0,
    })
}

fn chosen(args: &LabelArgs, workspace: &Workspace, sae: SaeId) -> Result<Vec<u32>> {
    if let Some(list) = &args.latents {
        return parse_latents(list);
    }
    let Some(table) = workspace.load_features(sae)? else { return Ok(vec![0]) };
    let form = sparsescope::forms::LabelsForm { most: args.top, ..Default::default() };
    Ok(form.latents(&table, &workspace.labels(sae)?, None))
}

fn parse_latents(list: &str) -> Result<Vec<u32>> {
    let mut out = Vec::new();
    for part in list.split(',').map(str::trim).filter(|p| !p.is_empty()) {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        match (from.trim().parse::<u32>(), to.trim().parse::<u32>()) {
            (Ok(from), Ok(to)) if from <= to && to - from < 1 << 20 => out.extend(from..=to),
            _ => {
                return Err(Error::setting(
                    "The list of latents was not understood",
                    format!("{part:?} is neither a number nor a range"),
                    "Write it as 3,17,40-59",
                ));
            }
        }
    }
    Ok(out)
}

fn parse_price(text: &str) -> Result<Price> {
    let parsed = text.split_once(',').and_then(|(input, output)| {
        Some((input.trim().parse::<f64>().ok()?, output.trim().parse::<f64>().ok()?))
    });
    let (input, output) = parsed.ok_or_else(|| {
        Error::setting(
            "The price was not understood",
            format!("{text:?} is not two numbers"),
            "Write dollars for a million tokens read and written, such as 3,15",
        )
    })?;
    Price::new(input, output)
}

fn prepare(
    args: &LabelArgs,
    global: &Global,
    workspace: &Workspace,
    request: &LabelRequest,
) -> Result<Prepared> {
    let (root, request) = (workspace.root().to_owned(), request.clone());
    let (llama, device) = (args.llama.clone(), global.device.clone());
    watch::quietly("Work out the cost", move |ctx| {
        let workspace = Workspace::open(&root)?;
        let record = workspace.sae(request.sae)?;
        let sae = Sae::load(&record.dir)?;
        ctx.progress().stage("Opening the model", "", 0, 0);
        let model = model_of(&workspace, &record, llama.as_deref(), &device)?;
        let source = Source { model: &model, sae: &sae, allow_foreign: false };
        labels::plan(ctx, &workspace, &source, &request)
    })
}

/// The estimate in lines.
fn told(prepared: &Prepared) -> String {
    let (e, endpoint) = (prepared.estimate(), &prepared.request().endpoint);
    let cost = match (e.cost, e.price) {
        (Some(cost), Some(price)) => format!(
            "${cost:.4} at most, at ${} and ${} for a million tokens",
            price.input, price.output
        ),
        _ => "not known: enter the price of the model with --price IN,OUT".to_owned(),
    };
    let mut text = format!(
        "{} at {}\n  latents   {}\n  requests  {}\n  tokens    {} to read, {} to write at most\n  cost      {cost}\n",
        endpoint.model,
        endpoint.url,
        count(e.latents as u64),
        count(e.requests),
        count(e.input_tokens),
        count(e.output_tokens),
    );
    for (latent, why) in e.skipped.iter().take(5) {
        text += &format!("  latent {latent} is left out: {why}\n");
    }
    if e.skipped.len() > 5 {
        text += &format!("  and {} more are left out\n", e.skipped.len() - 5);
    }
    text + &format!("\n{RULE}\n")
}

/// What is agreed to: by an argument, or by an answer.
fn agree(args: &LabelArgs, estimate: &Estimate, told: &str) -> Result<Agreed> {
    watch::say(told);
    let all = estimate.cost.map_or(Agreed::UnknownPrice, Agreed::Amount);
    if let Some(most) = args.max_price {
        return Ok(Agreed::Amount(most));
    }
    if args.yes {
        return Ok(all);
    }
    let refused = |why: &str| {
        Error::setting("Nothing was sent", why, "Agree with --yes or --max-price DOLLARS")
    };
    if !std::io::stdin().is_terminal() {
        return Err(refused("nobody is at the terminal to agree to the cost"));
    }
    watch::say("Send it? Type yes:");
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    read.map_err(|e| Error::io("Could not read the answer", &e))?;
    match answer.trim().to_lowercase().as_str() {
        "yes" | "y" => Ok(all),
        _ => Err(refused("it was not agreed to")),
    }
}

fn heard(news: LabelNews) -> Option<String> {
    let LabelNews::View(view) = news;
    let spent = view.spent;
    Some(match spent.cost {
        Some(cost) => format!("${cost:.4} so far"),
        None => format!("{} tokens so far", count(spent.input_tokens + spent.output_tokens)),
    })
}

fn go_on(workspace: Workspace, id: LabelRunId) -> Result<Labelled> {
    let root = workspace.root().to_owned();
    drop(workspace);
    let outcome = watch::run("Label", heard, move |ctx: &JobContext<LabelNews>| {
        labels::run(ctx, &mut Workspace::open(&root)?, id, &WallClock::default())
    });
    if outcome.is_err() {
        watch::say(&format!("What was answered is kept. Go on: sparsescope label --resume {id}"));
    }
    outcome
}

fn ended(done: Labelled) -> Result<Report> {
    let view = &done.view;
    let style = Style::of_stdout();
    let mut table = Table::new(&[">latent", ">detection", ">fuzzing", "label"]);
    let figure = |judged: Option<Judged>| {
        let accuracy = judged.and_then(|j| j.balanced_accuracy());
        accuracy.map_or("–".to_owned(), |a| format!("{a:.2}"))
    };
    for latent in &view.latents {
        let label = match (&latent.label, latent.failures.first()) {
            (Some(label), _) => label.clone(),
            (None, Some(failure)) => style.dim(&format!("({failure})")),
            (None, None) => style.dim("(not yet)"),
        };
        table.row([
            latent.latent.to_string(),
            figure(latent.scores.detection),
            figure(latent.scores.fuzzing),
            label,
        ]);
    }
    let spent = match view.spent.cost {
        Some(cost) => format!("${cost:.4}"),
        None => "at a price that is not known".to_owned(),
    };
    let mut text = table.render(style)
        + &format!(
            "\n{} requests answered, {} tokens read and {} written, {spent}.\n",
            count(view.spent.requests),
            count(view.spent.input_tokens),
            count(view.spent.output_tokens)
        );
    for note in &done.notes {
        text += &format!("{note}.\n");
    }
    if view.spent.unsure > 0 {
        text += &format!("{} requests may be billed twice.\n", view.spent.unsure);
    }
    match (view.status, &view.failure) {
        (LabelRunStatus::Waiting, _) => {
            text += &format!(
                "A batch is with the server. Fetch it later:\n  sparsescope label --retrieve {}\n",
                view.id
            );
        }
        (LabelRunStatus::Stopped, Some(failure)) => {
            text +=
                &format!("{failure}.\nAsk them again:\n  sparsescope label --resume {}\n", view.id);
        }
        _ => {}
    }
    Report::new(&as_json(view, &done.notes), text)
}

fn as_json(view: &RunView, notes: &[String]) -> serde_json::Value {
    let judged = |judged: Option<Judged>| {
        judged.map(|j| {
            json!({"balanced_accuracy": j.balanced_accuracy(), "interval": j.interval(),
                "precision": j.precision(), "recall": j.recall(), "f1": j.f1(), "counts": j})
        })
    };
    let latents = view.latents.iter().map(|l| {
        json!({"latent": l.latent, "label": l.label, "detection": judged(l.scores.detection),
            "fuzzing": judged(l.scores.fuzzing), "failures": l.failures})
    });
    json!({
        "run": view.id, "sae": view.sae, "status": format!("{:?}", view.status).to_lowercase(),
        "failure": view.failure, "model": view.request.endpoint.model,
        "requests": view.spent.requests, "input_tokens": view.spent.input_tokens,
        "output_tokens": view.spent.output_tokens, "cost": view.spent.cost,
        "perhaps_billed_twice": view.spent.unsure, "notes": notes,
        "latents": latents.collect::<Vec<_>>(),
    })
}

fn listed(workspace: &Workspace, sae: Option<SaeId>) -> Result<Report> {
    let mut table = Table::new(&[">run", ">sae", "model", "status", ">latents", ">cost"]);
    let mut all = Vec::new();
    for run in workspace.label_runs(sae)? {
        let view = labels::view(workspace, run.id)?;
        let cost = view.spent.cost.map_or("not known".to_owned(), |cost| format!("${cost:.4}"));
        table.row([
            view.id.to_string(),
            view.sae.to_string(),
            view.request.endpoint.model.clone(),
            format!("{:?}", view.status).to_lowercase(),
            view.latents.len().to_string(),
            cost,
        ]);
        all.push(as_json(&view, &[]));
    }
    Report::new(&json!({ "runs": all }), table.render(Style::of_stdout()))
}

fn shown(workspace: &Workspace, sae: SaeId, latent: u32) -> Result<Report> {
    let label = workspace.label(sae, latent)?;
    let json = json!({"sae": sae, "latent": latent,
        "label": label.as_ref().map(|l| &l.text), "source": label.as_ref().map(|l| &l.source)});
    let text = match label {
        Some(label) => format!("Latent {latent}: {} ({})\n", label.text, label.source.short()),
        None => format!("Latent {latent} has no label.\n"),
    };
    Report::new(&json, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_latents_and_prices_are_read() {
        assert_eq!(parse_latents("3, 17,40-42").unwrap(), [3, 17, 40, 41, 42]);
        for bad in ["x", "3-", "9-3", "1-4294967295", "-1"] {
            assert!(parse_latents(bad).is_err(), "{bad}");
        }
        assert_eq!(parse_price("3, 15").unwrap(), Price::new(3.0, 15.0).unwrap());
        assert!(parse_price("3").is_err() && parse_price("-1,2").is_err());
    }
}
