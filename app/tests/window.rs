//! The first command where no window can open: it says so, names the line that helps, and runs
//! the tour in the terminal.

mod common;

use common::{object, program};

#[test]
fn without_a_display_the_first_command_runs_the_tour() {
    if !common::has_builtin() {
        return;
    }
    let output = program(&["--json", "--threads", "2"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("no display"), "{said}");
    assert!(said.contains("apt-get install -y libegl1 libgl1-mesa-dri libx11-xcb1"), "{said}");
    assert!(said.contains("libwayland-egl1"), "{said}");
    assert_eq!(output.status.code(), Some(0), "{said}");
    let found = object(&String::from_utf8(output.stdout).unwrap());
    assert!(found["truth"]["variables"].as_array().unwrap().len() >= 5, "{found}");
}

#[test]
fn a_display_that_does_not_answer_is_no_panic() {
    let output =
        program(&["--json", "--device", "abacus"]).env("DISPLAY", ":4321").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let script = program(&["--script", "dance"]).env("DISPLAY", ":4321").output().unwrap();
    assert_eq!(script.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&script.stderr).contains("dance"));
}
