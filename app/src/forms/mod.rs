//! What a person has typed and set on each screen and not yet asked for. A panel changes its own
//! form; whatever follows from it goes through a command.

mod circuit;
mod directions;
mod labels;
mod prompt;
mod shift;
mod steer;

use sparsescope_core::corpus::{Bos, CorpusSpec, RowSpec, Split};
use sparsescope_core::llama::Site;
use sparsescope_core::sae::Architecture;
use sparsescope_core::training::{Preset, Schedule, TrainConfig};
use std::collections::BTreeSet;
use std::path::PathBuf;

pub use circuit::{
    CircuitForm, CircuitPart, Drawn, GraphForm, Item, Nodes, PairRow, TaskForm, VerdictForm,
};
pub use directions::{
    ColorKey, Coloring, CompareList, DirectionsForm, DirectionsPart, Layout, Legend, sites_of,
};
pub use labels::{LabelsForm, Which};
pub use prompt::{PromptForm, PromptRow, Rank};
pub use shift::{ShiftForm, ShiftStep};
pub use steer::{ContrastForm, Mode, Place, SteerForm, SteerRow};

/// The forms of all screens.
#[derive(Debug, Default)]
pub struct Forms {
    /// Home.
    pub home: HomeForm,
    /// Model.
    pub model: ModelForm,
    /// Data.
    pub data: DataForm,
    /// Train.
    pub train: TrainForm,
    /// Pareto.
    pub pareto: ParetoForm,
    /// Features.
    pub features: FeatureForm,
    /// Prompt.
    pub prompt: PromptForm,
    /// Directions.
    pub directions: DirectionsForm,
    /// Labels.
    pub labels: LabelsForm,
    /// Circuit.
    pub circuit: CircuitForm,
    /// SHIFT.
    pub shift: ShiftForm,
    /// Steer.
    pub steer: SteerForm,
}

/// Home.
#[derive(Debug, Default)]
pub struct HomeForm {
    /// Whether the runs' list is unfolded past its first lines.
    pub all_runs: bool,
}

/// Model.
#[derive(Debug, Default)]
pub struct ModelForm {
    /// The path to open.
    pub path: String,
    /// The text of the next-token check.
    pub text: String,
    /// When it was last changed, by the window's clock, if nothing was asked since.
    pub changed: Option<f64>,
}

/// Data.
#[derive(Debug)]
pub struct DataForm {
    /// Whether the corpus is a file rather than the built-in world.
    pub from_file: bool,
    /// The split of the built-in world; empty for its ordinary text.
    pub split: String,
    /// The path of the file.
    pub path: String,
    /// How rows are cut.
    pub rows: RowSpec,
    /// Whether the form was changed since the preview was asked for.
    pub changed: Option<f64>,
    /// Where captured activations go.
    pub capture_to: String,
    /// How many tokens to capture, in thousands.
    pub capture_thousands: u64,
}

impl Default for DataForm {
    fn default() -> Self {
        Self {
            from_file: false,
            split: String::new(),
            path: String::new(),
            rows: RowSpec { split: Split::Sentences, bos: Bos::Drop, length: 128 },
            changed: None,
            capture_to: String::new(),
            capture_thousands: 1000,
        }
    }
}

impl DataForm {
    /// The corpus it names; `None` while the path is empty.
    pub fn corpus(&self) -> Option<CorpusSpec> {
        match (self.from_file, self.path.trim()) {
            (true, "") => None,
            (true, path) => Some(CorpusSpec::File(PathBuf::from(path))),
            (false, _) if self.split.is_empty() => Some(CorpusSpec::Builtin(None)),
            (false, _) => Some(CorpusSpec::Builtin(Some(self.split.clone()))),
        }
    }
}

/// Train.
#[derive(Debug)]
pub struct TrainForm {
    /// Name of the architecture.
    pub architecture: &'static str,
    /// Latents a token (TopK).
    pub k: usize,
    /// Every other setting; its architecture follows the two above.
    pub config: TrainConfig,
    /// Whether the learning rate was set by hand rather than taken from the preset.
    pub lr_by_hand: bool,
    /// Whether the seldom-used settings are unfolded.
    pub advanced: bool,
    /// The source whose published settings were taken.
    pub preset: Option<&'static str>,
    /// Whether several are to be trained at once.
    pub sweep: bool,
    /// Sites of a sweep.
    pub sites: BTreeSet<Site>,
    /// Architectures of a sweep.
    pub architectures: BTreeSet<&'static str>,
    /// L0s of a sweep, as typed.
    pub targets: String,
}

/// The architectures on offer: name on disk, name on screen, what it is.
pub const ARCHITECTURES: [(&str, &str, &str); 12] = [
    (
        "topk",
        "TopK",
        "Keeps the k greatest latents of each token: f = TopK(ReLU(W_enc(x − b_dec) + b_enc)). \
         Dead latents are revived by an auxiliary loss (Gao et al. 2024).",
    ),
    (
        "batchtopk",
        "BatchTopK",
        "Keeps the k·B greatest activations of a batch of B tokens, so that hard tokens get more; \
         afterwards one threshold decides (Bussmann et al. 2024).",
    ),
    (
        "matryoshka",
        "Matryoshka",
        "BatchTopK whose first latents must reconstruct alone, at several sizes: general features \
         first (Bussmann et al. 2025).",
    ),
    (
        "multi-topk",
        "Multi-TopK",
        "TopK whose loss also looks at the 4 k greatest, so that k may be changed afterwards \
         (Gao et al. 2024).",
    ),
    (
        "groupmax",
        "GroupMax",
        "The greatest latent of each of k groups; k must divide the number of latents (sparsify).",
    ),
    (
        "standard",
        "Standard",
        "ReLU with an L1 penalty on the activations; decoder rows held at unit norm \
         (Bricken et al. 2023).",
    ),
    (
        "standard-april",
        "Standard, April",
        "ReLU with an L1 penalty weighted by each latent's decoder norm; the decoder is free \
         (Anthropic, April 2024 update).",
    ),
    (
        "panneal",
        "p-anneal",
        "ReLU with a penalty on the p-norm of the activations, p falling from 1 towards 0 \
         (Karvonen et al. 2024).",
    ),
    (
        "gated",
        "Gated",
        "One product read twice: a gate says which latents fire, a magnitude how much; the \
         penalty is on the gate alone, so nothing shrinks (Rajamanoharan et al. 2024).",
    ),
    (
        "jumprelu",
        "JumpReLU",
        "A threshold for each latent, learnt through a straight-through estimator; the penalty \
         counts active latents (Rajamanoharan et al. 2024).",
    ),
    (
        "jumprelu-tanh",
        "JumpReLU, tanh",
        "JumpReLU with the penalty Σ tanh(c f ‖d‖) (Anthropic, January 2025 update).",
    ),
    (
        "jumprelu-target",
        "JumpReLU, L0 target",
        "JumpReLU with the penalty (L0 / target − 1)²: it goes to the L0 that is set \
         (dictionary_learning).",
    ),
];

impl Default for TrainForm {
    fn default() -> Self {
        let mut config = TrainConfig::preset(Architecture::TopK { k: 16 }, 1024);
        config.tokens = 1_000_000;
        Self {
            architecture: "topk",
            k: 16,
            config,
            lr_by_hand: false,
            advanced: false,
            preset: None,
            sweep: false,
            sites: BTreeSet::new(),
            architectures: BTreeSet::from(["topk", "standard"]),
            targets: "8, 16, 32".to_owned(),
        }
    }
}

impl TrainForm {
    /// Takes the usual settings of the architecture and size that are set, keeping what they do
    /// not decide.
    pub fn follow_preset(&mut self) {
        let Ok(architecture) = Architecture::named(self.architecture, self.k) else { return };
        if self.config.architecture.name() != architecture.name() {
            let usual = TrainConfig::preset(architecture.clone(), self.config.latents);
            self.config.l1 = usual.l1;
            self.config.lr = usual.lr;
            self.config.betas = usual.betas;
            self.config.target_l0 = None;
            self.config.k_anneal = None;
            self.config.architecture = architecture;
            self.lr_by_hand = false;
            self.preset = None;
        }
        if let Some(anneal) = &mut self.config.k_anneal {
            anneal.from = anneal.from.clamp(self.k, self.config.latents.max(self.k));
        }
        if !self.lr_by_hand {
            let now = self.config.architecture.clone();
            self.config.lr = TrainConfig::preset(now, self.config.latents).lr;
        }
        self.config.architecture = self.config.architecture.clone().with_k(self.k);
    }

    /// Takes the published settings of a source.
    pub fn take(&mut self, preset: &Preset) {
        let Ok(config) = preset.config(self.config.latents, self.k, self.config.tokens) else {
            return;
        };
        let known = ARCHITECTURES.iter().find(|a| a.0 == preset.architecture);
        self.architecture = known.map_or(self.architecture, |a| a.0);
        self.k = config.architecture.k().unwrap_or(self.k);
        self.config = config;
        self.lr_by_hand = true;
        self.preset = Some(preset.name);
    }

    /// The L0s that were typed, if they are numbers.
    pub fn l0s(&self) -> Option<Vec<f64>> {
        let parts = self.targets.split([',', ' ', ';']).filter(|t| !t.is_empty());
        let all: Option<Vec<f64>> = parts.map(|t| t.parse().ok()).collect();
        all.filter(|all| !all.is_empty() && all.iter().all(|l0| *l0 > 0.0 && l0.is_finite()))
    }

    /// The settings of each architecture of a sweep: the usual ones, with the sizes and the
    /// schedule of the form.
    pub fn sweep_configs(&self) -> Vec<TrainConfig> {
        let form = &self.config;
        let one = |name: &&'static str| {
            let usual = TrainConfig::preset(Architecture::named(name, self.k).ok()?, form.latents);
            Some(TrainConfig {
                batch: form.batch,
                tokens: form.tokens,
                schedule: form.schedule,
                warmup_steps: form.warmup_steps,
                sparsity_warmup_steps: form.sparsity_warmup_steps,
                dead_after: form.dead_after,
                clip: form.clip,
                normalize: form.normalize,
                seed: form.seed,
                checkpoint_every: form.checkpoint_every,
                resample: form.resample,
                ema: form.ema,
                evaluate_every: 0,
                ..usual
            })
        };
        self.architectures.iter().filter_map(one).collect()
    }

    /// The names of the schedules, in the order of the list.
    pub const SCHEDULES: [&'static str; 4] =
        ["Constant", "Linear decay", "Cosine", "Cosine with restarts"];

    /// Which of them is set.
    pub fn schedule(&self) -> usize {
        match self.config.schedule {
            Schedule::Constant => 0,
            Schedule::LinearDecay { .. } => 1,
            Schedule::Cosine => 2,
            Schedule::CosineRestarts { .. } => 3,
        }
    }

    /// Sets one of them.
    pub fn set_schedule(&mut self, index: usize) {
        self.config.schedule = match index {
            0 => Schedule::Constant,
            1 => Schedule::LinearDecay { from: 0.8 },
            2 => Schedule::Cosine,
            _ => Schedule::CosineRestarts { cycles: 4 },
        };
    }
}

/// What the table of the Pareto screen is ordered by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ParetoColumn {
    /// Name of the architecture, then L0.
    #[default]
    Architecture,
    /// k or coefficient.
    Sparsity,
    /// Site.
    Site,
    /// Size.
    Latents,
    /// Active latents a token.
    L0,
    /// Loss recovered.
    Recovered,
    /// Fraction of variance unexplained.
    Fvu,
    /// Shrinkage.
    Gamma,
    /// Dead share.
    Dead,
    /// Tokens trained on.
    Tokens,
}

/// Pareto.
#[derive(Debug, Default)]
pub struct ParetoForm {
    /// The site shown, `Some(None)` for all; the one with the most dictionaries until it is set.
    pub site: Option<Option<Site>>,
    /// Architectures left out.
    pub hidden: BTreeSet<String>,
    /// The table is ordered by this.
    pub sort: ParetoColumn,
    /// Greatest first.
    pub descending: bool,
    /// The dictionary that stands out.
    pub lit: Option<i64>,
}

/// What the latents are ordered by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Order {
    /// Their number.
    #[default]
    Index,
    /// Share of tokens they fire on.
    Density,
    /// Greatest activation.
    Max,
    /// Mean activation where they fire.
    Mean,
}

/// Features.
#[derive(Debug, Default)]
pub struct FeatureForm {
    /// Ordered by.
    pub order: Order,
    /// Greatest first.
    pub descending: bool,
    /// Words to look for, or a latent's number to jump to.
    pub filter: String,
    /// Whether latents that never fired are left out.
    pub hide_dead: bool,
    /// The rows shown, as places in the table; made anew when the key changes.
    pub rows: Vec<u32>,
    /// What `rows` was made from.
    pub key: Option<RowsKey>,
    /// Counts in the bins of the density histogram.
    pub density: Density,
    /// Whether the list must be scrolled to the chosen latent.
    pub reveal: bool,
    /// Whether the list must be scrolled to its beginning.
    pub to_top: bool,
    /// A text to see the chosen latent on.
    pub text: String,
    /// When it was last changed, by the window's clock, if nothing was asked since.
    pub text_changed: Option<f64>,
    /// What is listed of the chosen latent.
    pub shown: Listed,
    /// The latent that is being named, and what is typed.
    pub naming: Option<((sparsescope_core::workspace::SaeId, u32), String)>,
    /// Whether the box for it has just appeared.
    pub naming_begun: bool,
    /// Tokens to collect from; the usual number if `None`.
    pub collect: Option<u64>,
}

/// What is listed of the chosen latent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Listed {
    /// Contexts, by quantile of the activation.
    #[default]
    Contexts,
    /// Sentences by their mean activation.
    ByMean,
    /// Sentences by the activation on their last token.
    ByLast,
    /// Sentences by their greatest activation.
    ByMax,
}

/// What a list of latents was made from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RowsKey {
    /// Which table.
    pub version: u64,
    /// Ordered by.
    pub order: Order,
    /// Greatest first.
    pub descending: bool,
    /// Whether silent latents are left out.
    pub hide_dead: bool,
}

/// Latents by the logarithm of their density.
#[derive(Debug, Clone, Default)]
pub struct Density {
    /// Counts in bins over `range`.
    pub counts: Vec<u64>,
    /// log10 of the density at both ends.
    pub range: (f64, f64),
    /// Latents that never fired.
    pub silent: u64,
}
