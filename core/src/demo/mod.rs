//! The built-in model, its training, and the tour through the whole program.

mod bpe;
mod check;
mod muon;
mod optimizer;
mod stream;
mod training;

pub use bpe::{BOS, EOS, VOCABULARY, tokenizer_json};
pub use check::{Knowledge, Score, agreement, check_model};
pub use training::{ModelOutcome, ModelPoint, ModelRequest, train_model};
