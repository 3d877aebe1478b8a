//! The first command where no window can open: it says so, names the line that helps, and runs
//! the tour in the terminal.
// The helpers of a test fail it as the test itself does.
#![allow(clippy::unwrap_used)]

mod common;

use common::program;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

#[test]
fn without_a_display_the_first_command_runs_the_tour() {
    let mut child =
        program(&["--threads", "2"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    // The tour takes minutes; that it trains is enough to be seen here.
    let mut said = String::new();
    for line in BufReader::new(child.stderr.take().unwrap()).lines() {
        let line = line.unwrap();
        said += &line;
        said.push('\n');
        if line.starts_with("Training") {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(said.contains("no display"), "{said}");
    assert!(said.contains("apt-get install -y libegl1 libgl1-mesa-dri libx11-xcb1"), "{said}");
    assert!(said.contains("libwayland-egl1"), "{said}");
    assert!(said.contains("\nTraining"), "{said}");
}

#[test]
fn bad_arguments_of_the_window_are_told_before_any_display_is_sought() {
    for args in [["--script", "dance"], ["--device", "abacus"]] {
        let output = program(&args).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).contains(args[1]));
    }
}
