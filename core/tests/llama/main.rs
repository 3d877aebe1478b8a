//! The Llama room, seen from outside.

mod golden;
mod gradients;
mod real;
mod speed;
mod support;
