//! `circuit`: find circuits, connect them, judge them, write them for others.

mod compare;
mod edges;
mod eval;
mod export;
mod find;
mod tasks;

use super::Global;
use super::input::{ModelArgs, open_model};
use super::report::Report;
use clap::{Args, Subcommand};
use sparsescope_core::circuits::{Bases, Change, Examples, Metric, Task};
use sparsescope_core::edits::Dictionaries;
use sparsescope_core::evaluation::site_of;
use sparsescope_core::jobs::JobContext;
use sparsescope_core::llama::{Model, Site};
use sparsescope_core::sae::Sae;
use sparsescope_core::{Error, IoContext as _, Result};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Find sparse feature circuits: which latents carry a behaviour, and how they act on one another
#[derive(Args)]
pub struct CircuitArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    Find(Box<find::FindArgs>),
    Edges(Box<edges::EdgesArgs>),
    Compare(compare::CompareArgs),
    Eval(Box<eval::EvalArgs>),
    Tasks(Box<tasks::TasksArgs>),
    Export(export::ExportArgs),
    Import(export::ImportArgs),
}

/// Does it.
///
/// # Errors
/// Those of the subcommand.
pub fn run(args: &CircuitArgs, global: &Global) -> Result<Report> {
    match &args.what {
        What::Find(args) => find::run(args, global),
        What::Edges(args) => edges::run(args, global),
        What::Compare(args) => compare::run(args),
        What::Eval(args) => eval::run(args, global),
        What::Tasks(args) => tasks::run(args, global),
        What::Export(args) => export::export(args),
        What::Import(args) => export::import(args),
    }
}

/// The model and the dictionaries at its sites.
#[derive(Args, Clone)]
pub struct BasesArgs {
    #[command(flatten)]
    pub model: ModelArgs,
    /// Folder with a folder for each dictionary, as `sweep --site all` leaves it [default: none:
    /// the coordinates of each site are the nodes]
    #[arg(long, visible_alias = "dictionaries", value_name = "DIR")]
    pub saes: Option<PathBuf>,
    /// Sites to look at; one without a dictionary takes its coordinates [default: those with a
    /// dictionary, or all if there is none]
    #[arg(long, value_delimiter = ',', value_name = "SITES")]
    pub sites: Vec<Site>,
    /// Go on though a dictionary was trained on another model
    #[arg(long)]
    pub allow_foreign: bool,
}

impl BasesArgs {
    /// Opens the model and the dictionaries.
    ///
    /// # Errors
    /// They cannot be read or do not fit one another; two dictionaries for one site.
    pub fn open<E>(&self, ctx: &JobContext<E>, global: &Global) -> Result<(Model, Bases)> {
        let model = open_model(ctx, &self.model.path()?, global)?;
        let dirs: Vec<PathBuf> = self.saes.iter().cloned().collect();
        let found = dictionaries(ctx, &model, &dirs, self.allow_foreign)?;
        let sites = match (self.sites.is_empty(), found.is_empty()) {
            (false, _) => self.sites.clone(),
            (true, false) => found.keys().copied().collect(),
            (true, true) => Site::all(model.config().layers),
        };
        let bases = Bases::new(&model, &sites, &found)?;
        Ok((model, bases))
    }
}

/// The dictionaries in `dirs`, each a dictionary's folder or one with a folder for each, by their
/// sites.
///
/// # Errors
/// They cannot be read or do not fit the model; two dictionaries for one site.
pub fn dictionaries<E>(
    ctx: &JobContext<E>,
    model: &Model,
    dirs: &[PathBuf],
    allow_foreign: bool,
) -> Result<Dictionaries> {
    let mut found = Dictionaries::new();
    for dir in dirs {
        let folders = folders(dir)?;
        ctx.progress().stage("Opening dictionaries", "dictionaries", 0, folders.len() as u64);
        for folder in folders {
            ctx.check()?;
            let sae = Sae::load(&folder)?;
            let site = site_of(model, &sae, None, allow_foreign)
                .map_err(|e| Error { what: format!("{}: {}", folder.display(), e.what), ..e })?;
            if found.insert(site, Arc::new(sae)).is_some() {
                return Err(Error::setting(
                    format!("Two dictionaries of {} stand at {site}", dir.display()),
                    "a latent belongs to one of them",
                    "Leave one of them in the folder",
                ));
            }
            ctx.progress().add(1);
        }
    }
    Ok(found)
}

/// The folders of dictionaries in `dir`, or itself.
///
/// # Errors
/// There are none.
pub fn folders(dir: &Path) -> Result<Vec<PathBuf>> {
    let what = || format!("Could not look into {}", dir.display());
    if Sae::is_at(dir) {
        return Ok(vec![dir.to_owned()]);
    }
    let mut out = Vec::new();
    for entry in std::fs::read_dir(dir).doing(what)? {
        let path = entry.doing(what)?.path();
        if path.is_dir() && Sae::is_at(&path) {
            out.push(path);
        }
    }
    if out.is_empty() {
        return Err(Error::setting(
            format!("There are no dictionaries in {}", dir.display()),
            "none of its folders holds one",
            "Name the folder that `sparsescope sweep --out` has written",
        ));
    }
    // The system names them in any order.
    out.sort();
    Ok(out)
}

/// Pairs that are written of a task of the built-in world.
const WORLD_PAIRS: usize = 200;

/// A task.
#[derive(Args, Clone)]
pub struct TaskArgs {
    /// A task: a JSON Lines file, or one of the built-in world (world:simple, world:across-pp,
    /// world:across-rc, world:within-rc)
    #[arg(long, value_name = "FILE")]
    pub task: String,
}

impl TaskArgs {
    /// Reads or writes it.
    ///
    /// # Errors
    /// No such file or task.
    pub fn open(&self, seed: u64) -> Result<Task> {
        match self.task.strip_prefix("world:") {
            Some(name) => Task::world(name, WORLD_PAIRS, seed),
            None => Task::read(Path::new(&self.task)),
        }
    }
}

/// The pairs that circuits are found on: half of those that can be used, drawn by the seed, so that
/// the others are left to judge by; all of them if `all`.
fn examples(
    model: &Model,
    task: &Task,
    (metric, change): (&Metric, Change),
    seed: u64,
    all: bool,
) -> Result<Examples> {
    let examples = Examples::prepare(model, task, metric, change)?;
    match all {
        true => examples.some(),
        false => examples.split(seed).0.some(),
    }
}
