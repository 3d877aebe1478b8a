//! `shift`: take away from a probe what it should not lean on, and measure what that does.

use super::circuit::BasesArgs;
use super::input::absolute;
use super::report::Report;
use super::table::{Style, Table, count, percent};
use super::{Global, watch};
use clap::Args;
use serde_json::json;
use sparsescope_core::circuits::{Bases, Method};
use sparsescope_core::jobs::JobContext;
use sparsescope_core::llama::{Model, Site};
use sparsescope_core::shift::{
    Accuracies, CircuitSpec, Columns, Judge, Judgements, Measurer, Pairing, ProbeSpec, PronounSpec,
    PronounText, RowKind, SITES_DEFINITION, Share, SiteRow, Source, Split, SplitSpec, Study,
    StudyEvent, StudySpec, TableSpec, Verdict, compare_sites, read, study,
};
use sparsescope_core::{Error, Result};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Texts that the trim is timed on.
const SAMPLE: usize = 300;

/// Trim the features that a probe should not lean on (SHIFT), and measure what that does
#[derive(Args, Clone)]
#[command(after_help = "\
A linear probe learns a label from texts in which the label and a spurious value agree. Its circuit
names the features it leans on; those that have nothing to do with the label are trimmed. The table
compares that with baselines, skylines and controls, on texts in which the two are independent.
SHIFT takes away a probe's use of a signal; it does not take a bias out of what the model writes.

Examples:
  sparsescope sweep --site all --l0 16 --latents 512 --out saes
  sparsescope shift --dictionaries saes --judge truth --page shift.html
  sparsescope shift --dictionaries saes --judge none --write-judgements mine.json
  sparsescope shift --model DIR --dictionaries saes --data bios.csv --text-column bio \\
    --label-column profession --spurious-column gender --labels nurse,professor --json")]
pub struct ShiftArgs {
    #[command(flatten)]
    with: BasesArgs,
    #[command(flatten)]
    text: DataArgs,
    #[command(flatten)]
    probe: ProbeArgs,
    #[command(flatten)]
    find: FindArgs,
    /// Who judges the features: truth (the labels of balanced texts), none, or a JSON file of
    /// judgements
    #[arg(long, default_value = "truth", value_name = "WHO")]
    judge: String,
    /// File to write the judgements to; of --judge none every feature, to be edited by hand
    #[arg(long, value_name = "FILE")]
    write_judgements: Option<PathBuf>,
    /// Words for the control that deletes words [default: by the world's truth, or found]
    #[arg(long, value_delimiter = ',', value_name = "WORDS")]
    words: Vec<String>,
    /// Keywords of the concept bottleneck [default: the world's own]
    #[arg(long, value_delimiter = ',', value_name = "WORDS")]
    keywords: Vec<String>,
    /// Draws of random features
    #[arg(long, default_value_t = TableSpec::default().random_draws, value_name = "N")]
    random_draws: usize,
    /// Do not measure the model's own pronouns
    #[arg(long)]
    no_pronouns: bool,
    /// Table or .txt file to measure pronouns on [default: the balanced test texts]
    #[arg(long, value_name = "FILE")]
    pronoun_text: Option<PathBuf>,
    /// Its column
    #[arg(long, default_value = "text", value_name = "NAME")]
    pronoun_column: String,
    /// Only compare sites: the original probe at each, on balanced texts that are not tested on
    #[arg(long)]
    compare_sites: bool,
    /// Measure too how long a trim takes on a sample, as the window does at every key press
    #[arg(long)]
    time_trims: bool,
    /// File to write the table to
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// File to write a page of the whole study to
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
}

/// The texts.
#[derive(Args, Clone)]
#[command(next_help_heading = "Texts")]
struct DataArgs {
    /// A .csv, .tsv or .jsonl file [default: biographies of the built-in world]
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// Column of the text
    #[arg(long, default_value = "text", value_name = "NAME")]
    text_column: String,
    /// Column of the label
    #[arg(long, default_value = "label", value_name = "NAME")]
    label_column: String,
    /// Column of the spurious value
    #[arg(long, default_value = "spurious", value_name = "NAME")]
    spurious_column: String,
    /// The two labels; of the built-in world two professions [default: nurse,doctor; of a file
    /// all that there are]
    #[arg(long, value_delimiter = ',', value_name = "A,B")]
    labels: Vec<String>,
    /// The two spurious values [default: all that there are]
    #[arg(long, value_delimiter = ',', value_name = "A,B")]
    spurious: Vec<String>,
    /// The spurious value that goes with the first label [default: as most texts have it]
    #[arg(long, value_name = "VALUE")]
    pair: Option<String>,
    /// Biographies to write
    #[arg(long, default_value_t = 4000, value_name = "N")]
    texts: usize,
    /// Texts of each class in the ambiguous part at most
    #[arg(long, default_value_t = SplitSpec::default().ambiguous, value_name = "N")]
    ambiguous: usize,
    /// Texts of each group in the balanced part for training at most
    #[arg(long, default_value_t = SplitSpec::default().balanced_train, value_name = "N")]
    balanced_train: usize,
    /// Texts of each group in the balanced part for testing at most
    #[arg(long, default_value_t = SplitSpec::default().balanced_test, value_name = "N")]
    balanced_test: usize,
}

/// The probe.
#[derive(Args, Clone)]
#[command(next_help_heading = "Probe")]
struct ProbeArgs {
    /// Site whose mean output it reads
    #[arg(long, default_value_t = ProbeSpec::default().site, value_name = "SITE")]
    site: Site,
    /// Learning rate
    #[arg(long, default_value_t = ProbeSpec::default().learning_rate, value_name = "X")]
    lr: f64,
    /// Times that it sees each text
    #[arg(long, default_value_t = ProbeSpec::default().epochs, value_name = "N")]
    epochs: usize,
    /// Texts a step
    #[arg(long, default_value_t = ProbeSpec::default().batch, value_name = "N")]
    batch: usize,
}

/// Its circuit.
#[derive(Args, Clone)]
#[command(next_help_heading = "Circuit")]
struct FindArgs {
    /// How effects are estimated: atp, ig (or ig:STEPS), relp or exact
    #[arg(long, default_value_t = Method::default(), value_name = "HOW")]
    method: Method,
    /// Texts used at most
    #[arg(long, default_value_t = CircuitSpec::default().texts, value_name = "N")]
    circuit_texts: usize,
    /// Features are kept whose mean effect on the probe's log-odds is greater
    #[arg(long, default_value_t = CircuitSpec::default().threshold, value_name = "X")]
    threshold: f32,
    /// Of these so many at most, the greatest
    #[arg(long, default_value_t = CircuitSpec::default().most, value_name = "N")]
    most: usize,
    /// First positions whose features are left out; 1 leaves out BOS
    #[arg(long, default_value_t = 0, value_name = "N")]
    skip: usize,
}

fn two(values: &[String], option: &str) -> Result<Option<[String; 2]>> {
    if values.is_empty() {
        return Ok(None);
    }
    <[String; 2]>::try_from(values.to_vec()).map(Some).map_err(|values| {
        Error::setting(
            format!("{option} needs two values"),
            format!("it was given {}", values.len()),
            "Write two, with a comma between them",
        )
    })
}

impl ShiftArgs {
    fn spec(&self, global: &Global) -> Result<StudySpec> {
        let t = &self.text;
        let seed = global.seed();
        let labels = two(&t.labels, "--labels")?;
        let source = match &t.data {
            Some(path) => Source::File {
                path: absolute(path)?,
                columns: Columns {
                    text: t.text_column.clone(),
                    label: t.label_column.clone(),
                    spurious: t.spurious_column.clone(),
                },
                labels,
                spurious: two(&t.spurious, "--spurious")?,
            },
            None => {
                let usual = ["nurse".to_owned(), "doctor".to_owned()];
                Source::World { labels: labels.unwrap_or(usual), texts: t.texts, seed }
            }
        };
        let some = |words: &[String]| (!words.is_empty()).then(|| words.to_vec());
        let pronouns = match (self.no_pronouns, &self.pronoun_text) {
            (true, _) => None,
            (false, None) => Some(PronounSpec::default()),
            (false, Some(path)) => {
                let text = PronounText::File {
                    path: absolute(path)?,
                    column: self.pronoun_column.clone(),
                };
                Some(PronounSpec { text, ..PronounSpec::default() })
            }
        };
        Ok(StudySpec {
            source,
            pairing: t.pair.clone().map_or(Pairing::Usual, Pairing::FirstWith),
            split: SplitSpec {
                ambiguous: t.ambiguous,
                balanced_train: t.balanced_train,
                balanced_test: t.balanced_test,
                seed,
            },
            probe: ProbeSpec {
                site: self.probe.site,
                learning_rate: self.probe.lr,
                epochs: self.probe.epochs,
                batch: self.probe.batch,
                seed,
                ..ProbeSpec::default()
            },
            circuit: CircuitSpec {
                method: self.find.method,
                texts: self.find.circuit_texts,
                threshold: self.find.threshold,
                most: self.find.most,
                skip_positions: self.find.skip,
                audit: 0,
                seed,
            },
            table: TableSpec {
                random_draws: self.random_draws,
                words: some(&self.words),
                keywords: some(&self.keywords),
                seed,
                ..TableSpec::default()
            },
            pronouns,
        })
    }

    fn judge(&self) -> Result<Judge> {
        Ok(match self.judge.as_str() {
            "truth" => Judge::Truth,
            "none" => Judge::Nobody,
            file => Judge::Given(Judgements::read(Path::new(file))?),
        })
    }
}

/// Does it.
///
/// # Errors
/// Model, dictionaries or texts cannot be read or do not fit; cancelled.
pub fn run(args: &ShiftArgs, global: &Global) -> Result<Report> {
    let (spec, judge) = (args.spec(global)?, args.judge()?);
    if args.compare_sites {
        return sites(args, &spec, global);
    }
    let (asked, settings) = (args.clone(), global.clone());
    let hear = |event: StudyEvent| match event {
        StudyEvent::Row(row) => row
            .accuracies
            .map(|a| format!("{}: worst group {}", row.kind.name(), percent(a.worst_group.mean))),
        _ => None,
    };
    let (found, speed, seconds) = watch::run("SHIFT", hear, move |ctx| {
        let (model, bases) = open(&asked, ctx, &settings)?;
        let since = Instant::now();
        let mut found = study(ctx, &model, &bases, &spec, &judge)?;
        let seconds = since.elapsed().as_secs_f64();
        found.model_name = asked.with.model.path()?.display().to_string();
        if asked.judge != "truth" && asked.judge != "none" {
            found.judged_by = asked.judge.clone();
        }
        if let Some(path) = &asked.write_judgements {
            to_write(&found).write(path)?;
        }
        if let Some(path) = &asked.csv {
            found.write_csv(path)?;
        }
        if let Some(path) = &asked.page {
            found.write_page(path)?;
        }
        let speed = match asked.time_trims {
            true => Some(speed(ctx, &model, &bases, &spec, &found)?),
            false => None,
        };
        Ok((found, speed, seconds))
    })?;
    let mut json = serde_json::to_value(&found)
        .map_err(|e| Error::internal("The result could not be written", e.to_string()))?;
    json["seconds"] = json!(seconds);
    json["measurer"] = json!(speed);
    Report::new(&json, text(&found, speed.as_ref(), seconds))
}

fn open<E>(args: &ShiftArgs, ctx: &JobContext<E>, global: &Global) -> Result<(Model, Bases)> {
    if args.with.saes.is_none() {
        return Err(Error::setting(
            "The probe's circuit cannot be found",
            "there are no dictionaries",
            "Name the folder that `sparsescope sweep --site all --out` has written (--dictionaries)",
        ));
    }
    args.with.open(ctx, global)
}

/// The judgements; where nobody judged, every feature as kept, with what it tells left out.
fn to_write(study: &Study) -> Judgements {
    let mut out = study.judgements.clone();
    if out.all.is_empty() {
        for node in study.circuit.nodes.iter().filter(|n| sparsescope_core::shift::is_feature(n)) {
            let keep =
                sparsescope_core::shift::Judgement { verdict: Verdict::Keep, note: String::new() };
            out.all.insert(node.node, keep);
        }
    }
    out
}

/// How fast a trim is measured on a sample, as the window does at every key press.
#[derive(Debug, serde::Serialize)]
struct Speed {
    texts: usize,
    /// Measuring after each feature of the trim is added, one by one: the median in milliseconds.
    median_ms: f64,
    /// The slowest of them.
    most_ms: f64,
}

fn speed<E>(
    ctx: &JobContext<E>,
    model: &Model,
    bases: &Bases,
    spec: &StudySpec,
    study: &Study,
) -> Result<Speed> {
    let data = read(ctx, &spec.source, &spec.pairing)?;
    let split = Split::new(model, &data, &spec.split)?;
    let texts = split.test_sample(SAMPLE);
    let count = texts.len();
    let mut measurer = Measurer::new(model, bases, texts, study.probe.clone(), spec.table.seed)?;
    measurer.original(ctx)?;
    // In the order of the ranking, as a person goes through them.
    let mut judged = Judgements::default();
    let mut times = Vec::new();
    for node in study.circuit.nodes.iter().map(|n| n.node) {
        let Some(judgement) = study.judgements.all.get(&node) else { continue };
        if judgement.verdict == Verdict::Trim {
            judged.all.insert(node, judgement.clone());
            let since = Instant::now();
            measurer.trimmed(ctx, &judged.edits())?;
            times.push(since.elapsed().as_secs_f64() * 1000.0);
        }
    }
    times.sort_by(f64::total_cmp);
    let median_ms = times.get(times.len() / 2).copied().unwrap_or(0.0);
    Ok(Speed { texts: count, median_ms, most_ms: times.last().copied().unwrap_or(0.0) })
}

fn sites(args: &ShiftArgs, spec: &StudySpec, global: &Global) -> Result<Report> {
    let (asked, spec, settings) = (args.clone(), spec.clone(), global.clone());
    let rows: Vec<SiteRow> = watch::quietly("Compare sites", move |ctx| {
        let model = super::input::open_model(ctx, &asked.with.model.path()?, &settings)?;
        let data = read(ctx, &spec.source, &spec.pairing)?;
        let split = Split::new(&model, &data, &spec.split)?;
        compare_sites(ctx, &model, &split, &spec.probe)
    })?;
    let mut table =
        Table::new(&["site", ">label", ">spurious", ">worst group", ">own training texts"]);
    for row in &rows {
        let a = &row.accuracies;
        table.row([
            row.site.to_string(),
            percent(a.label.mean),
            percent(a.spurious.mean),
            percent(a.worst_group.mean),
            percent(row.train_accuracy),
        ]);
    }
    let text = format!("{}{SITES_DEFINITION}\n", table.render(Style::of_stdout()));
    Report::new(&json!({"sites": rows, "definition": SITES_DEFINITION}), text)
}

fn share(share: &Share) -> String {
    format!("{:.1} ({:.1}–{:.1})", 100.0 * share.mean, 100.0 * share.low, 100.0 * share.high)
}

fn text(study: &Study, speed: Option<&Speed>, seconds: f64) -> String {
    let d = &study.data;
    let s = &d.split;
    let mut out = format!(
        "{}: {} {} or {}, {} {} or {}\n{} ambiguous texts, {} balanced to train on, {} balanced to test on\n",
        d.source,
        d.label_name,
        d.labels[0],
        d.labels[1],
        d.spurious_name,
        d.spurious[0],
        d.spurious[1],
        count(s.ambiguous as u64),
        count(s.balanced_train as u64),
        count(s.balanced_test as u64)
    );
    for (why, rows) in &d.left_out {
        out += &format!("{} rows left out: {why}\n", count(*rows as u64));
    }
    if let Some(sentence) = s.cut_sentence() {
        out += &format!("{sentence}\n");
    }
    let trimmed = study.judgements.trimmed().len();
    out += &format!(
        "probe at {}: {} of its own {} training texts right\ncircuit: {} features and errors; {} trimmed, judged by {}\n\n",
        study.probe.site,
        percent(study.probe.train_accuracy),
        study.probe.texts,
        study.circuit.nodes.len(),
        trimmed,
        study.judged_by
    );
    let mut table = Table::new(&["", ">label", ">spurious", ">worst group", ">trimmed"]);
    for kind in RowKind::ALL {
        let Some(row) = study.row(kind) else { continue };
        let cells = match &row.accuracies {
            Some(Accuracies { label, spurious, worst_group, .. }) => {
                [share(label), share(spurious), share(worst_group), row.trimmed.to_string()]
            }
            None => ["–".into(), "–".into(), "–".into(), row.missing.clone().unwrap_or_default()],
        };
        table.row([kind.name().to_owned()].into_iter().chain(cells));
    }
    out += &table.render(Style::of_stdout());
    if let Some(t) = &study.table {
        out += &format!("{}\n", t.definition);
    }
    if let Some(p) = &study.pronouns {
        let mut table = Table::new(&[
            "pronouns",
            ">places",
            ">she before",
            ">after",
            ">he before",
            ">after",
            ">right before",
            ">after",
        ]);
        for g in p.groups.iter().chain([&p.all]) {
            table.row([
                g.name.clone(),
                count(g.places as u64),
                percent(g.before.she),
                percent(g.after.she),
                percent(g.before.he),
                percent(g.after.he),
                percent(g.before.right),
                percent(g.after.right),
            ]);
        }
        out += &format!("\n{}{} {}\n", table.render(Style::of_stdout()), p.definition, p.caveat);
    }
    out += &format!("\n{seconds:.1} s\n");
    if let Some(speed) = speed {
        out += &format!(
            "A trim is measured on {} texts in {:.0} ms (median; {:.0} ms at most).\n",
            speed.texts, speed.median_ms, speed.most_ms
        );
    }
    out
}
