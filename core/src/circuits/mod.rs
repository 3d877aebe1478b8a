//! Sparse feature circuits (Marks et al. 2024, arXiv:2403.19647): which latents and errors carry a
//! behaviour, how they act on one another, and whether the model without the rest still behaves so.
//!
//! One sign everywhere: the metric F is high where the model behaves as the task expects (the clean
//! answer beats the patch answer), and a node's effect is `F(clean) − F(node changed)`: positive
//! where the node supports the behaviour.

mod audit;
mod basis;
pub mod checks;
mod circuit;
mod compare;
mod cut;
mod cut_edits;
mod describe;
mod edges;
mod effects;
mod examples;
mod find;
mod gathered;
mod graph_json;
mod judge;
mod metric;
mod node;
mod settings;
mod stability;
mod stages;
mod task;
mod task_file;
mod view;

pub use basis::{Bases, Basis};
pub use circuit::{
    Circuit, CircuitEdge, CircuitNode, Conventions, Estimate, SIGN, THRESHOLD_STAGE, TaskMark,
};
pub use compare::{CircuitComparison, compare_circuits};
pub use cut::{Cut, CutOp};
pub use cut_edits::{Recut, cuts_of, edits_of};
pub use edges::connect;
pub use examples::{Example, Examples, LeftOut, Why};
pub use find::find;
pub use graph_json::{Imported, from_graph_json, to_graph_json};
pub use judge::{
    Ablation, Accuracy, Curve, CurvePoint, Errors, Judge, JudgeSpec, PairVerdict, RandomPoint,
    Verdict, counts,
};
pub use metric::Gauge;
pub use node::{Node, Unit};
pub use settings::{Aggregation, Change, FindSpec, Method};
pub(crate) use stages::Stages;
pub use task::{Answers, Metric, Pair, Pool, Task};
pub use view::{Group, History, Shown, View, from_json, to_json};
