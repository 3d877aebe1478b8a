//! The desktop program: draws what `sparsescope_core` computes, and computes nothing itself.
//!
//! Commands go in, events come back: a panel draws [`state::State`] and sends
//! [`commands::Command`]s; [`app`] applies them after the frame, starts jobs, and turns what comes
//! back from them into state before the next one.

pub mod app;
mod apply;
pub mod commands;
pub mod context;
mod drop;
pub mod events;
pub mod fonts;
pub mod format;
pub mod forms;
mod hear;
pub mod jobs;
pub mod panels;
pub mod picture;
pub mod script;
pub mod state;
pub mod theme;
pub mod widgets;
pub mod work;

pub use app::RunOptions;
