//! What a training run was begun with, kept beside it so that `--resume` needs nothing else.

use super::{Pair, TrainArgs};
use crate::cli::Global;
use crate::cli::input::{absolute, usual_rows};
use serde::{Deserialize, Serialize};
use sparsescope_core::activations::StreamSpec;
use sparsescope_core::corpus::CorpusSpec;
use sparsescope_core::llama::{Model, Site};
use sparsescope_core::sae::{Architecture, Wiring};
use sparsescope_core::training::{KAnneal, Preset, Resample, TrainConfig};
use sparsescope_core::{Error, IoContext as _, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// Its name in the run's folder.
const FILE: &str = "request.json";

/// What a training run was begun with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainRequest {
    /// Where the rows come from.
    pub rows: Rows,
    /// Every setting of the training.
    pub config: TrainConfig,
}

/// Where the rows come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "snake_case")]
pub enum Rows {
    /// A model that reads a text.
    Model {
        /// Its path.
        model: PathBuf,
        /// What is read, and where.
        stream: StreamSpec,
        /// Of a transcoder: the site that it gives.
        #[serde(default)]
        to: Option<Site>,
    },
    /// A store on disk.
    Store {
        /// Its folder.
        activations: PathBuf,
    },
}

impl TrainRequest {
    /// The request kept in `folder`, if a run was begun there.
    ///
    /// # Errors
    /// The file is damaged.
    pub fn kept_in(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(FILE);
        let what = || format!("Could not read {}", path.display());
        let text = match fs::read(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            other => other.doing(what)?,
        };
        serde_json::from_slice(&text).map(Some).map_err(|e| {
            Error::format(what(), e.to_string(), "Begin the run again in another folder")
        })
    }

    /// Keeps it in `folder`.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn keep_in(&self, folder: &Path) -> Result<()> {
        let path = folder.join(FILE);
        let text = serde_json::to_string_pretty(self)
            .map_err(|e| Error::internal("The request could not be written", e.to_string()))?;
        fs::create_dir_all(folder).doing(|| format!("Could not make {}", folder.display()))?;
        let beside = path.with_extension("tmp");
        let write = || {
            let mut file = fs::File::create(&beside)?;
            std::io::Write::write_all(&mut file, text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&beside, &path)
        };
        write().doing(|| format!("Could not write {}", path.display()))
    }

    /// A new request on what `model` makes of a text: what was asked for, and what is usual for
    /// the rest.
    ///
    /// # Errors
    /// What was asked for makes no sense for the model.
    pub fn live(args: &TrainArgs, path: &Path, model: &Model, global: &Global) -> Result<Self> {
        let layers = model.config().layers;
        let site = args.site.unwrap_or(Site::Resid(layers.saturating_sub(1) / 2)).within(layers)?;
        let corpus = args.text.corpus()?.unwrap_or(CorpusSpec::Builtin(None));
        let stream = StreamSpec::new(site, corpus, usual_rows(model), model.config().width);
        let rows = Rows::Model { model: path.to_owned(), stream, to: args.to };
        if let Some(to) = args.to {
            to.within(layers)?;
        }
        Self { rows, config: usual_config(args)? }.overlaid(args, global)
    }

    /// A new request on a store.
    ///
    /// # Errors
    /// There is no such folder, or what was asked for makes no sense.
    pub fn stored(args: &TrainArgs, activations: &Path, global: &Global) -> Result<Self> {
        let rows = Rows::Store { activations: absolute(activations)? };
        Self { rows, config: usual_config(args)? }.overlaid(args, global)
    }

    /// This request with what was asked for put over it.
    ///
    /// # Errors
    /// A name that is not known; a path where nothing is.
    fn overlaid(mut self, args: &TrainArgs, global: &Global) -> Result<Self> {
        match &mut self.rows {
            Rows::Model { model, stream, to } => {
                if args.to.is_some() {
                    *to = args.to;
                }
                if args.model.model.is_some() {
                    *model = args.model.path()?;
                }
                stream.corpus = args.text.corpus()?.unwrap_or(stream.corpus.clone());
                stream.rows = args.text.rows(stream.rows);
                put(&mut stream.site, args.site);
                put(&mut stream.buffer, args.buffer);
                put(&mut stream.seed, global.seed);
                stream.outliers.leave_out |= args.leave_out_outliers;
            }
            Rows::Store { activations } => {
                if let Some(path) = &args.activations {
                    *activations = absolute(path)?;
                }
            }
        }
        let c = &mut self.config;
        let k = args.k.or(c.architecture.k()).unwrap_or(16);
        match args.arch.as_deref() {
            Some(name) if name != c.architecture.name() => {
                c.architecture = Architecture::named(name, k)?;
            }
            _ => c.architecture = c.architecture.clone().with_k(k),
        }
        if args.to.is_some() {
            c.wiring = Wiring::Transcoder { skip: args.skip };
        }
        if let Some(Pair(every, until)) = args.resample {
            c.resample = Some(Resample { every, until });
        }
        if let Some(Pair(from, steps)) = args.k_anneal {
            c.k_anneal = Some(KAnneal { from: from as usize, steps });
        }
        c.ema = args.ema.or(c.ema);
        c.target_l0 = args.target_l0.or(c.target_l0);
        c.start.untied |= args.untied;
        c.start.norm = args.init_norm.or(c.start.norm);
        c.start.dead = args.begin_dead.unwrap_or(c.start.dead);
        c.start.bias = args.bias_start.map(|b| b.0).or(c.start.bias);
        put(&mut c.latents, args.latents);
        put(&mut c.tokens, args.tokens);
        put(&mut c.batch, args.batch);
        put(&mut c.lr, args.lr);
        put(&mut c.l1, args.l1);
        put(&mut c.schedule, args.schedule.map(|s| s.0));
        put(&mut c.warmup_steps, args.warmup_steps);
        put(&mut c.sparsity_warmup_steps, args.sparsity_warmup_steps);
        put(&mut c.dead_after, args.dead_after);
        put(&mut c.aux_weight, args.aux_weight);
        put(&mut c.checkpoint_every, args.checkpoint_every);
        put(&mut c.evaluate_every, args.evaluate_every);
        put(&mut c.seed, global.seed);
        Ok(self)
    }

    /// This request, if nothing else is asked for now.
    ///
    /// # Errors
    /// Something else is asked for than what the run was begun with.
    pub fn same_as_asked(self, args: &TrainArgs, global: &Global) -> Result<Self> {
        let asked = self.clone().overlaid(args, global)?;
        if asked == self {
            return Ok(self);
        }
        Err(Error::setting(
            "The run cannot go on with these settings",
            format!(
                "{} differs from what it was begun with",
                differences(&self, &asked).join(", ")
            ),
            "Leave the settings out (--resume --out is enough), or begin anew in another folder",
        ))
    }
}

/// What is usual for the architecture and the number of latents that were asked for.
fn usual_config(args: &TrainArgs) -> Result<TrainConfig> {
    let (k, latents) = (args.k.unwrap_or(16), args.latents.unwrap_or(1024));
    if let Some(name) = &args.preset {
        return Preset::named(name)?.config(latents, k, args.tokens.unwrap_or(2_000_000));
    }
    let name = args.arch.as_deref().unwrap_or("topk");
    Ok(TrainConfig::preset(Architecture::named(name, k)?, latents))
}

fn put<T>(place: &mut T, asked: Option<T>) {
    if let Some(asked) = asked {
        *place = asked;
    }
}

/// The names of the entries in which two requests differ.
fn differences(a: &TrainRequest, b: &TrainRequest) -> Vec<String> {
    let (Ok(a), Ok(b)) = (serde_json::to_value(a), serde_json::to_value(b)) else {
        return vec!["something".into()];
    };
    let mut names = Vec::new();
    differ("", &a, &b, &mut names);
    names
}

fn differ(name: &str, a: &serde_json::Value, b: &serde_json::Value, names: &mut Vec<String>) {
    match (a.as_object(), b.as_object()) {
        (Some(a), Some(b)) if a.keys().eq(b.keys()) => {
            a.iter().zip(b.values()).for_each(|((key, a), b)| differ(key, a, b, names));
        }
        _ if a != b => names.push(format!("{name} ({b}, it was {a})")),
        _ => (),
    }
}
