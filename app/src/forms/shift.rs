//! What was typed and set on the SHIFT screen.

use crate::work::circuit::{Choice, usable};
use crate::work::shift::TextsSpec;
use sparsescope_core::circuits::Node;
use sparsescope_core::llama::Site;
use sparsescope_core::shift::{CircuitSpec, Columns, Pairing, ProbeSpec, Source, SplitSpec};
use sparsescope_core::workspace::{SaeId, SaeRecord};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The steps, in the order in which they are gone through.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum ShiftStep {
    /// Texts, and a probe that learns from them.
    #[default]
    Data,
    /// What the probe uses.
    Circuit,
    /// Which of that it should use.
    Judge,
    /// What it does without the rest.
    Result,
}

impl ShiftStep {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Data, Self::Circuit, Self::Judge, Self::Result];

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Data => "Data and probe",
            Self::Circuit => "Circuit",
            Self::Judge => "Judge",
            Self::Result => "Trim and retrain",
        }
    }
}

/// The SHIFT screen's form.
#[derive(Debug)]
pub struct ShiftForm {
    /// The step that is shown where there is no room for all.
    pub step: ShiftStep,
    /// Whether the texts are in a file rather than from the built-in world.
    pub from_file: bool,
    /// The two professions of the built-in world.
    pub labels: [String; 2],
    /// Biographies that it writes.
    pub texts: usize,
    /// Their seed.
    pub seed: u64,
    /// The file.
    pub path: String,
    /// Which of its columns are meant.
    pub columns: Columns,
    /// Two labels of the file, where it has more.
    pub file_labels: Option<[String; 2]>,
    /// Two spurious values of the file, where it has more.
    pub file_spurious: Option<[String; 2]>,
    /// Which spurious value goes with which label.
    pub pairing: Pairing,
    /// How many texts the parts have.
    pub split: SplitSpec,
    /// How the probe is trained.
    pub probe: ProbeSpec,
    /// How its circuit is found.
    pub circuit: CircuitSpec,
    /// Sites whose dictionary was chosen by hand.
    pub chosen_dictionaries: BTreeMap<Site, SaeId>,
    /// Whether dictionaries that do not fit are used all the same.
    pub anyway: bool,
    /// The strongest features that are to be judged.
    pub to_judge: usize,
    /// The feature whose card is shown.
    pub chosen: Option<Node>,
    /// Whether the list must be scrolled to it.
    pub reveal: bool,
    /// What is typed about it: of which, and what.
    pub note: (Option<Node>, String),
    /// Whether what the balanced texts tell of features is shown.
    pub revealed: bool,
    /// What the study is called.
    pub name: String,
    /// The study that is about to be deleted.
    pub deleting: Option<i64>,
}

impl Default for ShiftForm {
    fn default() -> Self {
        let Source::World { labels, texts, seed } = Source::default() else {
            return Self::of_labels(["nurse".into(), "professor".into()], 8000, 0);
        };
        Self::of_labels(labels, texts, seed)
    }
}

impl ShiftForm {
    fn of_labels(labels: [String; 2], texts: usize, seed: u64) -> Self {
        Self {
            step: ShiftStep::default(),
            from_file: false,
            labels,
            texts,
            seed,
            path: String::new(),
            columns: Columns::default(),
            file_labels: None,
            file_spurious: None,
            pairing: Pairing::default(),
            split: SplitSpec::default(),
            probe: ProbeSpec::default(),
            circuit: CircuitSpec::default(),
            chosen_dictionaries: BTreeMap::new(),
            anyway: false,
            to_judge: CircuitSpec::default().most,
            chosen: None,
            reveal: false,
            note: (None, String::new()),
            revealed: false,
            name: String::new(),
            deleting: None,
        }
    }

    /// Which texts are meant; `None` while the file is not named.
    pub fn texts(&self) -> Option<TextsSpec> {
        let source = match (self.from_file, self.path.trim()) {
            (true, "") => return None,
            (true, path) => Source::File {
                path: PathBuf::from(path),
                columns: self.columns.clone(),
                labels: self.file_labels.clone(),
                spurious: self.file_spurious.clone(),
            },
            (false, _) => {
                Source::World { labels: self.labels.clone(), texts: self.texts, seed: self.seed }
            }
        };
        Some(TextsSpec { source, pairing: self.pairing.clone(), split: self.split.clone() })
    }

    /// Shows which texts are meant.
    pub fn show_texts(&mut self, spec: &TextsSpec) {
        self.pairing = spec.pairing.clone();
        self.split = spec.split.clone();
        match &spec.source {
            Source::World { labels, texts, seed } => {
                self.from_file = false;
                self.labels.clone_from(labels);
                (self.texts, self.seed) = (*texts, *seed);
            }
            Source::File { path, columns, labels, spurious } => {
                self.from_file = true;
                self.path = path.display().to_string();
                self.columns = columns.clone();
                self.file_labels.clone_from(labels);
                self.file_spurious.clone_from(spurious);
            }
        }
    }

    /// The dictionary of each site up to that of the probe, of a model of `layers` blocks: the
    /// chosen one, else the latest; `None` where there is none.
    pub fn choice(&self, layers: usize, hash: &str, records: &[SaeRecord]) -> Choice {
        let of = |site: Site| {
            let here: Vec<SaeId> = usable(records, hash, site).map(|r| r.id).collect();
            let chosen = self.chosen_dictionaries.get(&site).copied();
            chosen.filter(|id| here.contains(id)).or(here.first().copied())
        };
        let sites = Site::all(layers).into_iter().filter(|site| *site <= self.probe.site);
        sites.map(|site| (site, of(site))).collect()
    }
}
