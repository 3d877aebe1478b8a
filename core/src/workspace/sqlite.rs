//! SQLite's errors in words a user understands.

use crate::error::{Error, ErrorKind};
use rusqlite::ErrorCode;

/// What went wrong while doing `what` ("Could not save the run").
pub(super) fn explain(what: &str, error: &rusqlite::Error) -> Error {
    let why = error.to_string();
    let code = error.sqlite_error_code();
    let (kind, remedy) = match code {
        Some(ErrorCode::DiskFull) => {
            (ErrorKind::Io, "Free some disk space, or use a workspace on another disk")
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            (ErrorKind::Io, "Another program holds the workspace: close it, or try again")
        }
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => (
            ErrorKind::Io,
            "Give yourself permission to write to the workspace's folder, or choose another folder",
        ),
        Some(ErrorCode::SystemIoFailure) => {
            (ErrorKind::Io, "Look whether the disk is full or failing; then try again")
        }
        Some(ErrorCode::NotADatabase) => (
            ErrorKind::Format,
            "The file is none of Sparsescope's: choose another folder, or move the file away",
        ),
        Some(ErrorCode::DatabaseCorrupt) => (
            ErrorKind::Format,
            "Move workspace.sqlite away and open the folder again; the SAE folders beside it are untouched",
        ),
        _ => return Error::internal(what, why),
    };
    Error::new(kind, what, why, remedy)
}

/// Gives a database error its sentence.
pub(super) trait Doing<T> {
    /// Names what was being done.
    fn doing(self, what: &str) -> crate::Result<T>;
}

impl<T> Doing<T> for rusqlite::Result<T> {
    fn doing(self, what: &str) -> crate::Result<T> {
        self.map_err(|e| explain(what, &e))
    }
}
