//! The Llama room, seen from outside.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may stop")]

mod files;
mod golden;
mod gradients;
mod passes;
mod real;
mod speed;
mod starts;
mod support;
