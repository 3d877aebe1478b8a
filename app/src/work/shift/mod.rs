//! The window's jobs of SHIFT: core's functions with the workspace around them.

mod card;
mod find;
mod live;
mod study;
mod texts;

pub use card::{Card, Firing, card};
pub use find::{FindRequest, Found, find};
pub use live::{Filled, Live, Needs, OpenMeasurer};
pub use study::{Opened, Parts, Saver, edit_set, open, read_judgements, taken, write};
pub use texts::{FileColumns, Texts, TextsSpec, Trained, columns, read, train};
