//! The built-in model, its training, and the tour through the whole program.
