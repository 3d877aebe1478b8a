//! The Llama room, seen from outside.

mod files;
mod golden;
mod gradients;
mod passes;
mod real;
mod speed;
mod support;
