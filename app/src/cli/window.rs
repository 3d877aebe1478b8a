//! The first command: the window, or the tour in the terminal where no window can open.

use super::{Global, demo, display, report, watch};
use clap::Args;
use sparsescope::app::{self, RunOptions};
use sparsescope::script::{self, Step};
use sparsescope_core::device;
use std::panic::{self, AssertUnwindSafe};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Options of the window.
#[derive(Args, Clone)]
#[command(next_help_heading = "Window options")]
pub struct WindowArgs {
    /// Folder in which the window keeps its runs [default: the user's data folder]
    #[arg(long, value_name = "DIR")]
    pub workspace: Option<PathBuf>,
    /// Open this model, text or SAE as if it had been dropped on the window
    #[arg(long, value_name = "PATH", num_args = 0..=1)]
    pub open: Vec<PathBuf>,
    /// Steps for the window to go through by itself, for tests: "open PATH; wait; shot out.png; exit"
    #[arg(long, value_name = "STEPS", hide = true)]
    pub script: Option<String>,
}

/// Opens the window; where none can open, says why and runs the tour here.
pub fn main(args: &WindowArgs, global: &Global) -> ExitCode {
    // What is wrong with the arguments is no matter of the display.
    let script = script::steps(args.script.as_deref().unwrap_or_default());
    let script = match device::choose(&global.device).and(script) {
        Ok(script) => script,
        Err(error) => return report::leave(Err(error), global.json),
    };
    let why = match display::obstacle() {
        Some(why) => why,
        None => match open(args, global, script) {
            End::Closed => return ExitCode::SUCCESS,
            End::Broke(why) => {
                watch::say(&why);
                return ExitCode::FAILURE;
            }
            End::NeverOpened(why) => format!("The window could not open ({why})"),
        },
    };
    watch::say(&format!("{why}. On Debian or Ubuntu this installs what the window needs:"));
    watch::say(&format!("\n    {}\n", display::INSTALL));
    watch::say("Here is the tour in this terminal instead; sparsescope --help lists the rest.");
    report::leave(demo::run(&demo::DemoArgs::default(), global), global.json)
}

/// How the window's time ended.
enum End {
    /// The user closed it.
    Closed,
    /// It was never there.
    NeverOpened(String),
    /// It was open, and ended with an error.
    Broke(String),
}

fn open(args: &WindowArgs, global: &Global, script: Vec<Step>) -> End {
    let opened = Arc::new(AtomicBool::new(false));
    let usual = Arc::new(panic::take_hook());
    // The window's libraries panic where they should refuse; that is told in plain words below.
    panic::set_hook({
        let (opened, usual) = (opened.clone(), usual.clone());
        Box::new(move |info| {
            if opened.load(Relaxed) {
                usual(info);
            }
        })
    });
    let options = RunOptions {
        workspace: args.workspace.clone(),
        open: args.open.clone(),
        device: global.device.clone(),
        script,
        opened: Some(opened.clone()),
    };
    let ran = panic::catch_unwind(AssertUnwindSafe(|| app::run(options)));
    panic::set_hook(Box::new(move |info| usual(info)));
    let why = match ran {
        Ok(Ok(())) => return End::Closed,
        Ok(Err(error)) => error.to_string(),
        Err(cause) => cause
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| cause.downcast_ref::<&str>().map(|s| (*s).to_owned()))
            .unwrap_or_else(|| "it did not say why".to_owned()),
    };
    if opened.load(Relaxed) { End::Broke(why) } else { End::NeverOpened(why) }
}
