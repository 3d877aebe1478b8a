//! Writing with edits in force, beside the same text without them.
//!
//! [`steer`] writes up to three streams of text from one prompt and one seed, token by token in
//! step: the model as it is, the model with [`crate::edits::Edit`]s, and the model with sites
//! replaced by their reconstructions. Each text is also read by the others' model, so that every
//! token carries what the edits do to its probability, and every stream what it costs: its
//! perplexity under the model as it is.

mod direction;
mod edit_set;
mod maxima;
mod outcome;
mod sampler;
mod spec;
mod streams;

pub use direction::{Direction, Pool, Projection, Side, contrast, project};
pub use edit_set::EditSet;
pub use maxima::{Maxima, MaximaSpec, maxima};
pub use outcome::{
    Bounded, End, PromptRead, SteerEvent, SteerOutcome, Stream, StreamOutcome, Written,
};
pub use sampler::SamplerSpec;
pub use spec::{Message, Prompt, Role, SteerSpec};
pub use streams::steer;

#[cfg(test)]
mod tests;
