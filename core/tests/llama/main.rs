//! The Llama room, seen from outside.

mod golden;
mod real;
mod support;
