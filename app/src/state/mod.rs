//! What the screens show: plain data, no tensors. Changed only by commands and events.

mod circuit;
mod directions;
mod labels;
mod latent;
mod prompt;
mod shift;
mod steer;

use crate::jobs::{JobId, JobView};
use egui_plot::PlotPoint;
use sparsescope_core::Error;
use sparsescope_core::evaluation::Evaluation;
use sparsescope_core::features::{FeatureTable, LatentDetail, LatentSummary};
use sparsescope_core::labels::Label;
use sparsescope_core::llama::Site;
use sparsescope_core::training::{TrainConfig, TrainPoint};
use sparsescope_core::workspace::{SaeId, SaeRecord};
use std::path::PathBuf;
use std::sync::Arc;

pub use circuit::{CircuitState, GraphState, Other, Prepared, SizeCurves, TaskState, VerdictState};
pub use directions::{CompareState, Compared, DirectionsState, Relatives};
pub use labels::{LabelsState, Planned, SearchState};
pub use latent::LatentState;
pub use prompt::PromptState;
pub use shift::{CardState, Judged, LiveState, Results, ShiftState, made};
pub use steer::{
    Contrasted, ContrastedFeature, KnownFeature, SteerRun, SteerState, StreamView, Suggestion,
    Suggestions,
};

/// The screens, in working order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Screen {
    /// What this is, the tour, what was done before.
    #[default]
    Home,
    /// The model.
    Model,
    /// The corpus.
    Data,
    /// Training.
    Train,
    /// Which is best.
    Pareto,
    /// What was found.
    Features,
    /// Which features fire on a prompt.
    Prompt,
    /// The decoder directions as a map.
    Directions,
    /// What features mean, in words.
    Labels,
    /// What a behaviour is made of.
    Circuit,
    /// What a probe uses, and how to make it stop.
    Shift,
    /// What the model writes when features are changed.
    Steer,
}

impl Screen {
    /// Every screen, in the order of the rail.
    pub const ALL: [Self; 12] = [
        Self::Home,
        Self::Model,
        Self::Data,
        Self::Train,
        Self::Pareto,
        Self::Features,
        Self::Prompt,
        Self::Directions,
        Self::Labels,
        Self::Circuit,
        Self::Shift,
        Self::Steer,
    ];

    /// Its name in the rail.
    pub fn name(self) -> &'static str {
        match self {
            Self::Home => "Home",
            Self::Model => "Model",
            Self::Data => "Data",
            Self::Train => "Train",
            Self::Pareto => "Pareto",
            Self::Features => "Features",
            Self::Prompt => "Prompt",
            Self::Directions => "Directions",
            Self::Labels => "Labels",
            Self::Circuit => "Circuit",
            Self::Shift => "SHIFT",
            Self::Steer => "Steer",
        }
    }
}

/// Everything on screen.
#[derive(Debug, Default)]
pub struct State {
    /// The screen shown.
    pub screen: Screen,
    /// The workspace's folder.
    pub workspace: PathBuf,
    /// Running jobs.
    pub jobs: Vec<JobView>,
    /// What has to be said and was not yet dismissed.
    pub notices: Vec<Notice>,
    /// The model.
    pub model: ModelState,
    /// The corpus.
    pub data: DataState,
    /// Training.
    pub train: TrainState,
    /// Features.
    pub features: FeatureState,
    /// The chosen latent.
    pub latent: LatentState,
    /// The prompt.
    pub prompt: PromptState,
    /// The directions.
    pub directions: DirectionsState,
    /// The labels.
    pub labels: LabelsState,
    /// The circuit.
    pub circuit: CircuitState,
    /// The SHIFT screen.
    pub shift: ShiftState,
    /// The steering screen.
    pub steer: SteerState,
    /// The tour.
    pub tour: TourState,
    /// Whether something is held over the window, about to be dropped.
    pub hovering: bool,
}

/// Something that has to be said.
#[derive(Debug, Clone)]
pub struct Notice {
    /// Names it for its dismissal.
    pub id: u64,
    /// When it was first shown, by the window's clock; set by the one who draws it.
    pub text: NoticeText,
    /// Seconds it stays; failures stay until they are dismissed.
    pub until: Option<f64>,
}

/// Good news in a sentence, or a failure.
#[derive(Debug, Clone)]
pub enum NoticeText {
    /// A sentence.
    Good(String),
    /// What failed, why, what to do.
    Failed(Error),
}

/// What is known of a model.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ModelFacts {
    /// What it is called.
    pub name: String,
    /// Where it is; `None` for the built-in one.
    pub path: Option<PathBuf>,
    /// Content hash.
    pub hash: String,
    /// Architecture named in its configuration.
    pub architecture: String,
    /// Number of blocks.
    pub layers: usize,
    /// Width of the residual stream.
    pub width: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads.
    pub kv_heads: usize,
    /// Width of one head.
    pub head_dim: usize,
    /// Width of the MLP's hidden layer.
    pub hidden: usize,
    /// Tokens it knows.
    pub vocab: usize,
    /// Positions it was made for.
    pub context: usize,
    /// Rotary embedding, in words.
    pub rope: String,
    /// Number of parameters.
    pub parameters: u64,
    /// Numbers on disk: `f32`, `bf16`.
    pub dtype: String,
    /// The tokenizer in words; `None` if there is none.
    pub tokenizer: Option<String>,
    /// Whether embedding and output matrix are one.
    pub tied: bool,
    /// Bytes its weights take in memory.
    pub weight_bytes: u64,
    /// Bytes of a pass over one row of the full context, beside the weights.
    pub pass_bytes: u64,
    /// Bytes of memory that were free when it was opened, where the system says.
    pub free_bytes: Option<u64>,
}

/// The model screen.
#[derive(Debug, Default)]
pub struct ModelState {
    /// The model in use.
    pub facts: Option<ModelFacts>,
    /// What is being loaded.
    pub loading: Option<String>,
    /// Why the last one could not be opened; the one before stays in use.
    pub failure: Option<Error>,
    /// The chosen site.
    pub site: Option<Site>,
    /// The next-token check.
    pub next: NextState,
}

/// The next-token check.
#[derive(Debug, Default)]
pub struct NextState {
    /// The text that was asked about last.
    pub asked: String,
    /// Whether the answer is on its way.
    pub pending: bool,
    /// The last answer.
    pub answer: Option<NextAnswer>,
    /// Why there is none.
    pub failure: Option<Error>,
}

/// What the model makes of a text.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NextAnswer {
    /// The tokens: text and id.
    pub tokens: Vec<(String, u32)>,
    /// The likeliest next tokens, best first.
    pub likely: Vec<NextToken>,
    /// Mean negative log-likelihood of the text, nats a token; `None` for a single token.
    pub loss: Option<f64>,
}

/// One likely next token.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NextToken {
    /// Its text.
    pub text: String,
    /// Its id.
    pub id: u32,
    /// Its probability.
    pub probability: f64,
    /// Its logit.
    pub logit: f64,
}

/// The data screen.
#[derive(Debug, Default)]
pub struct DataState {
    /// The first rows.
    pub preview: Option<Preview>,
    /// Whether they are being read.
    pub pending: bool,
    /// Why they cannot be.
    pub failure: Option<Error>,
}

/// The first rows of a corpus.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Preview {
    /// Tokens of each row, as drawn.
    pub rows: Vec<Vec<String>>,
    /// Tokens in the sample that the figures below are from.
    pub tokens: u64,
    /// Documents in the sample.
    pub documents: u64,
    /// Rows in the sample.
    pub row_count: u64,
    /// Whether the sample is the whole corpus.
    pub whole: bool,
    /// How a text falls into tokens: characters a token.
    pub characters_a_token: f64,
    /// What the reader noticed.
    pub note: Option<String>,
}

/// The training screen.
#[derive(Debug, Default)]
pub struct TrainState {
    /// The run whose curves are shown.
    pub run: Option<RunView>,
    /// Every run of the workspace, the latest first.
    pub runs: Vec<SaeRecord>,
    /// Whether the workspace has been read.
    pub listed: bool,
    /// Why its runs cannot be listed.
    pub unlisted: Option<Error>,
    /// Why the last one could not begin or broke off.
    pub failure: Option<Error>,
    /// Which job trains now.
    pub job: Option<JobId>,
    /// The sweep under way, or the last one.
    pub sweep: Option<SweepView>,
}

/// A sweep and its dictionaries.
#[derive(Debug, Clone, Default)]
pub struct SweepView {
    /// Whether it still looks for coefficients.
    pub planning: bool,
    /// Its dictionaries.
    pub lines: Vec<SweepLine>,
    /// Those that are not trained, and why.
    pub refused: Vec<Error>,
}

/// A dictionary of a sweep.
#[derive(Debug, Clone)]
pub struct SweepLine {
    /// What the workspace knows of it.
    pub record: SaeRecord,
    /// The L0 that is wanted.
    pub target: f64,
    /// Its curves so far.
    pub curves: Curves,
}

/// A run and its curves.
#[derive(Debug, Clone, Default)]
pub struct RunView {
    /// Its number in the workspace, once it has one.
    pub id: Option<SaeId>,
    /// "topk on resid.2".
    pub title: String,
    /// Its settings.
    pub config: Option<TrainConfig>,
    /// Its curves.
    pub curves: Curves,
    /// Tokens at the last checkpoint on disk.
    pub saved: Option<u64>,
    /// Tokens at the last resampling, and how many latents were resampled.
    pub resampled: Option<(u64, usize)>,
    /// How good it is at the end.
    pub evaluation: Option<Evaluation>,
}

/// The curves of a run, each over tokens.
#[derive(Debug, Clone, Default)]
pub struct Curves {
    /// Loss.
    pub loss: Vec<PlotPoint>,
    /// Fraction of variance unexplained.
    pub fvu: Vec<PlotPoint>,
    /// Mean active latents a token.
    pub l0: Vec<PlotPoint>,
    /// Share of dead latents.
    pub dead: Vec<PlotPoint>,
    /// Loss recovered.
    pub recovered: Vec<PlotPoint>,
    /// Tokens a second.
    pub rate: Vec<PlotPoint>,
    /// The last point.
    pub last: Option<TrainPoint>,
}

impl Curves {
    /// A curve keeps at most so many points; past that every other one goes.
    const MOST: usize = 4000;

    /// Adds a point. A run that went on from a checkpoint tells points again: the old ones go.
    pub fn push(&mut self, point: &TrainPoint) {
        let x = point.tokens as f64;
        if self.last.is_some_and(|last| last.tokens >= point.tokens) {
            for curve in self.all() {
                curve.retain(|p| p.x < x);
            }
        }
        self.last = Some(*point);
        self.loss.push(PlotPoint::new(x, point.loss));
        self.fvu.push(PlotPoint::new(x, point.fvu));
        self.l0.push(PlotPoint::new(x, point.l0));
        self.dead.push(PlotPoint::new(x, point.dead));
        self.rate.push(PlotPoint::new(x, point.rate));
        self.recovered.extend(point.loss_recovered.map(|r| PlotPoint::new(x, r)));
        for curve in self.all().into_iter().filter(|c| c.len() > Self::MOST) {
            let mut i = 0;
            // The first and the last stay.
            let last = curve.len() - 1;
            curve.retain(|_| {
                i += 1;
                (i - 1) % 2 == 0 || i - 1 == last
            });
        }
    }

    /// The curves of these points.
    pub fn of(points: &[TrainPoint]) -> Self {
        let mut curves = Self::default();
        points.iter().for_each(|p| curves.push(p));
        curves
    }

    fn all(&mut self) -> [&mut Vec<PlotPoint>; 6] {
        [
            &mut self.loss,
            &mut self.fvu,
            &mut self.l0,
            &mut self.dead,
            &mut self.recovered,
            &mut self.rate,
        ]
    }
}

/// The features screen.
#[derive(Debug, Default)]
pub struct FeatureState {
    /// The SAE that is open.
    pub sae: Option<SaeRecord>,
    /// What is known of its latents.
    pub table: Option<Arc<FeatureTable>>,
    /// Counts the tables, so that what is derived from one is made anew for the next.
    pub version: u64,
    /// Whether it is being opened.
    pub pending: bool,
    /// Why it cannot be shown.
    pub failure: Option<Error>,
    /// The chosen latent.
    pub latent: Option<u32>,
    /// What was kept of it, once it was read.
    pub detail: Option<Arc<LatentDetail>>,
    /// The latent to choose once the SAE that is being opened is there.
    pub wanted: Option<u32>,
    /// Its labels, in order of latents.
    pub labels: Vec<Label>,
}

impl FeatureState {
    /// What was collected of a latent.
    pub fn summary(&self, latent: u32) -> Option<&LatentSummary> {
        let table = self.table.as_deref()?;
        let at = table.latents.binary_search_by_key(&latent, |l| l.index).ok()?;
        table.latents.get(at)
    }

    /// What a latent is called, if it has a label.
    pub fn label(&self, latent: u32) -> Option<&str> {
        self.label_of(latent).map(|label| label.text.as_str())
    }

    /// The label of a latent, if it has one.
    pub fn label_of(&self, latent: u32) -> Option<&Label> {
        let at = self.labels.binary_search_by_key(&latent, |l| l.latent).ok()?;
        self.labels.get(at)
    }
}

/// The tour.
#[derive(Debug, Default)]
pub struct TourState {
    /// Whether it runs.
    pub running: bool,
    /// The stages it went through, the last one now.
    pub stages: Vec<String>,
    /// Its training curves.
    pub curves: Curves,
    /// Tokens of its training run.
    pub tokens: u64,
    /// What it found.
    pub findings: Option<Findings>,
    /// The dictionary it trained.
    pub sae: Option<SaeId>,
    /// Why it broke off.
    pub failure: Option<Error>,
}

/// What the tour found.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    /// Features with a plain meaning.
    pub features: Vec<Finding>,
    /// Figures with their definitions: name, value, how computed, whether it meets its bar.
    pub figures: Vec<Figure>,
    /// What changing the number latents did.
    pub edits: Vec<Edited>,
    /// How that was found out.
    pub edits_definition: String,
}

/// What an edit of the number latents did.
#[derive(Debug, Clone, Default)]
pub struct Edited {
    /// What was changed.
    pub name: String,
    /// Share of verbs that took the wrong number, 0 to 1.
    pub flipped: f64,
    /// Share of pronouns that kept their gender, 0 to 1.
    pub kept: f64,
    /// The counts behind the shares.
    pub definition: String,
}

/// A feature with a plain meaning.
#[derive(Debug, Clone, Default)]
pub struct Finding {
    /// The latent.
    pub latent: u32,
    /// What it stands for.
    pub meaning: String,
    /// How well it does, F1 against the world's truth.
    pub f1: f64,
    /// A context it fires in.
    pub example: Option<sparsescope_core::features::Context>,
}

/// A figure and how it was computed.
#[derive(Debug, Clone, Default)]
pub struct Figure {
    /// Its name.
    pub name: String,
    /// Its value, as written.
    pub value: String,
    /// How it was computed.
    pub definition: String,
    /// Whether it meets what was asked of it; `None` where nothing was.
    pub good: Option<bool>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(tokens: u64) -> TrainPoint {
        TrainPoint { tokens, loss: tokens as f64, ..TrainPoint::default() }
    }

    #[test]
    fn a_curve_that_goes_on_from_a_checkpoint_is_told_once() {
        let mut curves = Curves::of(&[point(10), point(20), point(30)]);
        curves.push(&point(20));
        assert_eq!(curves.loss.iter().map(|p| p.x).collect::<Vec<_>>(), [10.0, 20.0]);
    }

    #[test]
    fn a_long_curve_keeps_its_ends_and_stays_short() {
        let points: Vec<_> = (1..=9001).map(point).collect();
        let curves = Curves::of(&points);
        assert!(curves.loss.len() <= Curves::MOST);
        assert_eq!(curves.loss.first().map(|p| p.x), Some(1.0));
        assert_eq!(curves.loss.last().map(|p| p.x), Some(9001.0));
        assert!(curves.loss.is_sorted_by(|a, b| a.x < b.x));
    }
}
