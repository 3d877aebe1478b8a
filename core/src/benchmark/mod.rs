//! How fast the program's own parts are on this machine.

mod capture;
mod clock;

pub use capture::{CaptureFigures, CaptureShape, capture, tiny};
pub use clock::{Lap, Stopwatch};
