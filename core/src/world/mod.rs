//! The built-in world: a seeded grammar of English that writes an endless corpus and knows the
//! truth of every word.
//!
//! A document is a product of choices with known probabilities, and its text has one derivation,
//! so its probability is known exactly ([`Truth::nats`]): the entropy rate of the grammar is the
//! mean of that, and a model's loss can be compared with it.

mod biography;
mod choice;
mod clause;
mod lexicon;
mod page;
mod scene;
mod tasks;
mod truth;
mod words;
mod writer;

pub use lexicon::{LEXICON, Lexicon, MEN, Noun, SURNAMES, TOWNS, Topic, Verb, WOMEN};
pub use tasks::{Contrast, contrasts};
pub use truth::{
    Agreement, AgreementKind, Clause, ClauseKind, DocumentKind, Gender, Mark, Number, Person,
    Pronoun, Span, Truth, Variable,
};
pub use writer::{Document, Split, Writer};

#[cfg(test)]
mod tests;
