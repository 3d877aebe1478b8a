//! How fast the program's own parts are on this machine.

mod attribution;
mod capture;
mod clock;
mod collect;
mod cut;
mod generate;

pub use attribution::{AttributionShape, AttributionTiming, attribution};
pub use capture::{CaptureFigures, CaptureShape, capture, tiny};
pub use clock::{Lap, Stopwatch};
pub use collect::{CollectFigures, CollectShape, collect};
pub use cut::{CutFigures, CutShape, cut};
pub use generate::{GenerateCase, GenerateFigures, GenerateShape, generate};
