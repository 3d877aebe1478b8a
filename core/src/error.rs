//! One error type: what happened, why, and what to do about it, in words a user understands.

use std::fmt;

/// The library's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of thing went wrong; decides exit codes and how the window shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// A file or folder could not be read or written (missing, no permission, disk full).
    Io,
    /// A file was read but is not what it should be (truncated, wrong shape, hostile).
    Format,
    /// A setting that makes no sense (k greater than the number of latents, unknown site).
    Setting,
    /// The job would need more memory than the machine has.
    Memory,
    /// A number became NaN or infinite.
    Numeric,
    /// The user, or the program on their behalf, stopped the job.
    Cancelled,
    /// A defect of this program.
    Internal,
}

/// What happened, why, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// Kind, for code that must choose.
    pub kind: ErrorKind,
    /// What happened: "Could not open the model in /tmp/x".
    pub what: String,
    /// Why: "the tensor model.norm.weight is missing from model.safetensors".
    pub why: String,
    /// What to do: "Download the checkpoint again, all of its files".
    pub remedy: String,
}

impl Error {
    /// An error from its three sentences (no trailing full stops).
    pub fn new(
        kind: ErrorKind,
        what: impl Into<String>,
        why: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { kind, what: what.into(), why: why.into(), remedy: remedy.into() }
    }

    /// A setting that makes no sense.
    pub fn setting(
        what: impl Into<String>,
        why: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self::new(ErrorKind::Setting, what, why, remedy)
    }

    /// A file that is not what it should be.
    pub fn format(
        what: impl Into<String>,
        why: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self::new(ErrorKind::Format, what, why, remedy)
    }

    /// A defect of this program.
    pub fn internal(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::new(
            ErrorKind::Internal,
            what,
            why,
            "This is a defect of Sparsescope: please report it with this sentence",
        )
    }

    /// The job was stopped, for `reason`.
    pub fn cancelled(reason: impl Into<String>) -> Self {
        Self::new(ErrorKind::Cancelled, "Stopped", reason, "Start it again when you like")
    }

    /// An input or output error while doing `what` ("Could not read /a/b").
    pub fn io(what: impl Into<String>, error: &std::io::Error) -> Self {
        use std::io::ErrorKind as K;
        let remedy = match error.kind() {
            K::NotFound => "Check the path",
            K::PermissionDenied => "Give yourself permission to it, or choose another place",
            K::StorageFull | K::QuotaExceeded => {
                "Free some disk space, or choose a folder on another disk, and start again"
            }
            _ => "Try again; if it stays so, copy the file to another disk",
        };
        Self::new(ErrorKind::Io, what, error.to_string(), remedy)
    }

    /// Whether the job was stopped rather than failed.
    pub fn is_cancelled(&self) -> bool {
        self.kind == ErrorKind::Cancelled
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}. {}.", self.what, self.why, self.remedy)
    }
}

impl std::error::Error for Error {}

/// A tensor operation that the library refused; its arguments were ours, so it is our defect.
impl From<candle_core::Error> for Error {
    fn from(error: candle_core::Error) -> Self {
        Self::internal("A tensor operation failed", error.to_string())
    }
}

/// Gives an input or output error its sentence.
pub trait IoContext<T> {
    /// Names what was being done: `fs::read(p).doing(|| format!("Could not read {}", p.display()))`.
    ///
    /// # Errors
    /// The error itself, as an [`Error`] of kind [`ErrorKind::Io`].
    fn doing(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T> IoContext<T> for std::io::Result<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|e| Error::io(what(), &e))
    }
}
