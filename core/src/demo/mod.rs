//! The built-in model, its training, and the tour through the whole program.

mod bpe;
mod causal;
mod check;
mod embedded;
mod meanings;
mod muon;
mod number;
mod optimizer;
mod places;
mod probe;
mod stream;
mod tasks;
mod tour;
mod training;
mod truth_report;

pub use bpe::{BOS, EOS, VOCABULARY, tokenizer_json};
pub use causal::{Causal, CausalEdit, CurvePoint};
pub use check::{Knowledge, Score, agreement, check_model};
pub use embedded::model;
pub use meanings::{Meaning, Meanings, meanings};
pub use tour::{ReadableFeature, TourEvent, TourReport, TourRequest, tour};
pub use training::{ModelOutcome, ModelPoint, ModelRequest, train_model};
pub use truth_report::{ClassReport, TruthReport, TruthRequest, VariableReport, truth_report};
