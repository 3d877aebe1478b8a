//! What a subcommand hands back, and how it leaves the program: one JSON object or a few lines
//! on stdout, an error's sentence on stderr, an exit code.

use super::watch::say;
use sparsescope_core::{Error, ErrorKind};
use std::io::Write as _;
use std::process::ExitCode;

/// What a subcommand found: the same, for a machine and for a person.
pub struct Report {
    /// One object.
    pub json: serde_json::Value,
    /// Lines, the last with its end.
    pub text: String,
}

impl Report {
    /// From anything that serde writes, and the text.
    ///
    /// # Errors
    /// It cannot be written as JSON, which is a defect.
    pub fn new(
        json: &impl serde::Serialize,
        text: impl Into<String>,
    ) -> sparsescope_core::Result<Self> {
        let json = serde_json::to_value(json)
            .map_err(|e| Error::internal("The result could not be written", e.to_string()))?;
        Ok(Self { json, text: text.into() })
    }
}

/// Prints the outcome of a subcommand. Exit code 0: it worked; 1: it failed; 2: it was asked for
/// something that makes no sense.
pub fn leave(outcome: sparsescope_core::Result<Report>, json: bool) -> ExitCode {
    let outcome = outcome.and_then(|report| {
        let text = if json { format!("{}\n", report.json) } else { report.text };
        print(&text)
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if json {
                // If stdout is what failed, stderr still says so.
                let _ = print(&format!("{}\n", as_json(&error)));
            }
            say(&error.to_string());
            code(error.kind)
        }
    }
}

fn print(text: &str) -> sparsescope_core::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // Whoever read it has read enough.
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(|e| Error::io("Could not write the result to stdout", &e)),
    }
}

fn code(kind: ErrorKind) -> ExitCode {
    ExitCode::from(if kind == ErrorKind::Setting { 2 } else { 1 })
}

/// An error as the object that `--json` prints.
pub fn as_json(error: &Error) -> serde_json::Value {
    serde_json::json!({"error": {
        "kind": format!("{:?}", error.kind).to_lowercase(),
        "what": error.what,
        "why": error.why,
        "remedy": error.remedy,
    }})
}
