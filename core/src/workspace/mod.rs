//! Everything that outlives the program: one folder, one SQLite file, tensor files beside it.
