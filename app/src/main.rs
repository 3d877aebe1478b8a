//! Sparsescope: the window, or one of its jobs from a terminal.

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
