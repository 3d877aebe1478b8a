//! What a person has typed and set on each screen and not yet asked for. A panel changes its own
//! form; whatever follows from it goes through a command.

use sparsescope_core::corpus::{Bos, CorpusSpec, RowSpec, Split};
use sparsescope_core::llama::Site;
use sparsescope_core::sae::Architecture;
use sparsescope_core::training::{Schedule, TrainConfig};
use std::collections::BTreeSet;
use std::path::PathBuf;

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
}

/// The architectures on offer: name on disk, name on screen, what it is.
pub const ARCHITECTURES: [(&str, &str, &str); 3] = [
    (
        "topk",
        "TopK",
        "Keeps the k greatest latents of each token: f = TopK(ReLU(W_enc(x − b_dec) + b_enc)). \
         Dead latents are revived by an auxiliary loss (Gao et al. 2024).",
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
];

impl Default for TrainForm {
    fn default() -> Self {
        let mut config = TrainConfig::preset(Architecture::TopK { k: 16 }, 1024);
        config.tokens = 1_000_000;
        Self { architecture: "topk", k: 16, config, lr_by_hand: false, advanced: false }
    }
}

impl TrainForm {
    /// Takes the preset of the architecture and size that are set, keeping what the preset does
    /// not decide.
    pub fn follow_preset(&mut self) {
        let Ok(architecture) = Architecture::named(self.architecture, self.k) else { return };
        let preset = TrainConfig::preset(architecture.clone(), self.config.latents);
        if self.config.architecture.name() != architecture.name() {
            self.config.l1 = preset.l1;
            self.config.lr = preset.lr;
            self.lr_by_hand = false;
        }
        if !self.lr_by_hand {
            self.config.lr = preset.lr;
        }
        self.config.architecture = architecture;
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
    /// Only latents with this text in a context, or this number.
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
    /// Text looked for.
    pub filter: String,
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
