//! What was typed and set of the task, and of how a circuit is found.

use super::super::DataForm;
use crate::state::ModelFacts;
use crate::work::circuit::{Choice, usable};
use crate::work::sweep::SweepRequest;
use sparsescope_core::activations::StreamSpec;
use sparsescope_core::circuits::{Answers, FindSpec, Pair, Task};
use sparsescope_core::corpus::{Bos, CorpusSpec, RowSpec, Split};
use sparsescope_core::llama::Site;
use sparsescope_core::sae::Architecture;
use sparsescope_core::training::{SweepSpec, TrainConfig};
use sparsescope_core::workspace::{SaeId, SaeRecord};
use std::collections::BTreeMap;

/// A line of the editor: clean prompt, patch prompt, clean answer, patch answer, case. A space at
/// the beginning of an answer is shown, and may be typed, as `·`; several answers have `|` between
/// them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PairRow(pub [String; 5]);

/// How a space at the beginning is shown.
const DOT: char = '·';

impl PairRow {
    /// The line of a pair.
    pub fn of(pair: &Pair) -> Self {
        let answers = |answers: &Answers| {
            let shown: Vec<String> = answers.all().iter().map(|a| dotted(a)).collect();
            shown.join("|")
        };
        Self([
            pair.clean_prefix.clone(),
            pair.patch_prefix.clone().unwrap_or_default(),
            answers(&pair.clean_answer),
            pair.patch_answer.as_ref().map(answers).unwrap_or_default(),
            pair.case.clone(),
        ])
    }

    /// The pair of the line; an empty patch prompt or answer is none.
    pub fn pair(&self) -> Pair {
        let [clean, patch, right, wrong, case] = &self.0;
        Pair {
            clean_prefix: clean.clone(),
            patch_prefix: (!patch.is_empty()).then(|| patch.clone()),
            clean_answer: answers(right),
            patch_answer: (!wrong.is_empty()).then(|| answers(wrong)),
            case: case.clone(),
        }
    }

    /// Whether nothing is written in it.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(String::is_empty)
    }
}

fn dotted(answer: &str) -> String {
    match answer.strip_prefix(' ') {
        Some(rest) => format!("{DOT}{rest}"),
        None => answer.to_owned(),
    }
}

fn answers(text: &str) -> Answers {
    let plain = |part: &str| match part.strip_prefix(DOT) {
        Some(rest) => format!(" {rest}"),
        None => part.to_owned(),
    };
    let mut all: Vec<String> = text.split('|').map(plain).collect();
    match all.len() {
        1 => Answers::One(all.remove(0)),
        _ => Answers::Several(all),
    }
}

/// What a circuit is looked for with at each site.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Nodes {
    /// Its dictionary; the site's coordinates where it has none.
    #[default]
    Features,
    /// The coordinates of every site: the baseline.
    Neurons,
}

/// The task's form.
#[derive(Debug)]
pub struct TaskForm {
    /// What the task is called.
    pub name: String,
    /// Its pairs.
    pub rows: Vec<PairRow>,
    /// Whether it was edited since it was read, made or saved.
    pub edited: bool,
    /// When it was last changed, by the window's clock, if nothing was asked since.
    pub changed: Option<f64>,
    /// Pairs that the built-in world writes.
    pub pairs: usize,
    /// How the circuit is found.
    pub spec: FindSpec,
    /// Whether edges are computed too.
    pub edges: bool,
    /// With what.
    pub nodes: Nodes,
    /// Sites whose dictionary was chosen by hand; `None` for the coordinates.
    pub chosen: BTreeMap<Site, Option<SaeId>>,
    /// Latents of dictionaries that are trained for the sites without one.
    pub latents: usize,
    /// Their latents a token.
    pub k: usize,
    /// Tokens they are trained on.
    pub tokens: u64,
    /// Whether dictionaries that do not fit are used all the same.
    pub anyway: bool,
    /// Whether the thresholds and seeds are unfolded.
    pub more: bool,
    /// The circuit that is about to be deleted.
    pub deleting: Option<i64>,
    /// The circuit whose name is being changed, and to what.
    pub renamed: Option<(i64, String)>,
}

impl Default for TaskForm {
    fn default() -> Self {
        Self {
            name: String::new(),
            rows: Vec::new(),
            edited: false,
            changed: None,
            pairs: 200,
            spec: FindSpec::default(),
            edges: true,
            nodes: Nodes::default(),
            chosen: BTreeMap::new(),
            latents: 512,
            k: 16,
            tokens: 1_000_000,
            anyway: false,
            more: false,
            deleting: None,
            renamed: None,
        }
    }
}

impl TaskForm {
    /// Shows a task.
    pub fn show(&mut self, task: &Task) {
        self.name.clone_from(&task.name);
        self.rows = task.pairs.iter().map(PairRow::of).collect();
        self.edited = false;
    }

    /// The task as it stands in the editor.
    pub fn task(&self) -> Task {
        let pairs = self.rows.iter().filter(|row| !row.is_empty()).map(PairRow::pair).collect();
        Task { name: self.name.trim().to_owned(), pairs }
    }

    /// The dictionary of each site of a model of `layers` blocks: the chosen one, else the latest.
    pub fn choice(&self, layers: usize, hash: &str, records: &[SaeRecord]) -> Choice {
        let of = |site: Site| match (self.nodes, self.chosen.get(&site)) {
            (Nodes::Neurons, _) => None,
            (Nodes::Features, Some(None)) => None,
            (Nodes::Features, Some(Some(id)))
                if usable(records, hash, site).any(|r| r.id == *id) =>
            {
                Some(*id)
            }
            (Nodes::Features, _) => usable(records, hash, site).next().map(|r| r.id),
        };
        Site::all(layers).into_iter().map(|site| (site, of(site))).collect()
    }

    /// What trains the dictionaries: on the built-in model its own text, as the tour does; else on the
    /// corpus that is set, if one is.
    pub fn sweep(
        &self,
        data: &DataForm,
        facts: &ModelFacts,
        sites: &[Site],
    ) -> Option<SweepRequest> {
        let k = self.k.min(self.latents);
        let mut config = TrainConfig::preset(Architecture::TopK { k }, self.latents);
        config.tokens = self.tokens;
        config.lr = 1e-3;
        config.batch = 1024;
        config.dead_after = 100_000;
        config.checkpoint_every = self.tokens;
        let (corpus, rows) = match facts.path {
            None => {
                let length = facts.context.min(128);
                let rows = RowSpec { split: Split::Packed, bos: Bos::Drop, length };
                (CorpusSpec::Builtin(None), rows)
            }
            Some(_) => (data.corpus()?, data.rows),
        };
        let mut stream = StreamSpec::new(*sites.first()?, corpus, rows, facts.width);
        stream.buffer = 16_384;
        Some(SweepRequest {
            sites: sites.to_vec(),
            stream,
            spec: SweepSpec {
                sites: sites.len(),
                configs: vec![config],
                targets: vec![k as f64],
                probe_tokens: 0,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_survives_the_editor() {
        for (right, wrong, patch) in [
            (Answers::One(" is".into()), Some(Answers::One(" are".into())), Some("The men")),
            (Answers::Several(vec![" is".into(), "was".into()]), None, None),
        ] {
            let pair = Pair {
                clean_prefix: "The man".into(),
                patch_prefix: patch.map(str::to_owned),
                clean_answer: right,
                patch_answer: wrong,
                case: "singular".into(),
            };
            let row = PairRow::of(&pair);
            assert_eq!(row.pair(), pair);
            assert!(row.0[2].starts_with('·'));
        }
    }
}
