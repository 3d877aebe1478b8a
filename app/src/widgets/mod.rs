//! Parts that several panels draw. Each takes plain data and returns what was done to it.

pub mod bars;
pub mod card;
pub mod choices;
pub mod graph;
pub mod heat_map;
pub mod icon;
pub mod job_bar;
pub mod marker;
pub mod metric_plot;
pub mod notice;
pub mod point_cloud;
pub mod scatter;
pub mod shares;
pub mod site_diagram;
pub mod stream;
pub mod strip;
pub mod token_strip;
pub mod typing;
