//! One file a screen. A panel draws state and its own form, and sends commands; it changes
//! nothing else and waits for nothing.

pub mod circuit;
pub mod company;
pub mod compare;
pub mod contexts;
pub mod data;
pub mod direction_colors;
pub mod directions;
pub mod features;
pub mod found;
pub mod hits;
pub mod home;
pub mod inspector;
pub mod label_form;
pub mod label_runs;
pub mod labels;
pub mod latent;
pub mod model;
pub mod naming;
pub mod pareto;
pub mod pareto_table;
pub mod prompt;
pub mod prompt_table;
pub mod rail;
pub mod runs;
pub mod selection;
pub mod shift;
pub mod steer;
pub mod sweep;
pub mod train;
pub mod train_form;
