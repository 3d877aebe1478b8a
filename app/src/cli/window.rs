//! The first command: the window, or the tour in the terminal where no window can open.

use super::{Global, display, watch};
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;

/// Options of the window.
#[derive(Args, Clone)]
#[command(next_help_heading = "Window options")]
pub struct WindowArgs {
    /// Folder in which the window keeps its runs [default: the user's data folder]
    #[arg(long, value_name = "DIR")]
    pub workspace: Option<PathBuf>,
    /// Open this model, text or SAE as if it had been dropped on the window
    #[arg(long, value_name = "PATH")]
    pub open: Vec<PathBuf>,
}

/// Says what keeps the window from opening.
pub fn main(_args: &WindowArgs, _global: &Global) -> ExitCode {
    let why = display::obstacle().unwrap_or_else(|| "The window is not built yet".to_owned());
    watch::say(&format!("{why}. On Debian or Ubuntu this installs what the window needs:"));
    watch::say(&format!("\n    {}\n", display::INSTALL));
    ExitCode::FAILURE
}
