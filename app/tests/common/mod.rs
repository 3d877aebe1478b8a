//! Runs the built program and looks at what it says.
// Each test program uses only some of these, and a helper that fails should fail its test.
#![allow(dead_code, clippy::unwrap_used)]

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a run of the program left.
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// The program, ready to be started without a display.
pub fn program(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sparsescope"));
    command.args(args).stdin(Stdio::null());
    for name in ["DISPLAY", "WAYLAND_DISPLAY", "WAYLAND_SOCKET", "SPARSESCOPE_LOG"] {
        command.env_remove(name);
    }
    command
}

/// Runs it to its end.
pub fn sparsescope(args: &[&str]) -> Ran {
    let output = program(args).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

/// Runs it with `--json`; it must work and print exactly one object.
pub fn works(args: &[&str]) -> Value {
    let ran = sparsescope(&[args, &["--json"]].concat());
    assert_eq!(ran.code, 0, "{args:?}: {}", ran.err);
    object(&ran.out)
}

/// Runs it with and without `--json`: it must end with `code`, say on stderr what is in `words`,
/// not panic, and print nothing on stdout but the one object.
pub fn fails(args: &[&str], code: i32, words: &[&str]) {
    let plain = sparsescope(args);
    assert_eq!(plain.out, "", "{args:?}");
    let json = sparsescope(&[args, &["--json"]].concat());
    let error = &object(&json.out)["error"];
    for part in ["kind", "what", "why", "remedy"] {
        assert!(error[part].as_str().is_some_and(|s| !s.is_empty()), "{args:?}: {error}");
    }
    for ran in [plain, json] {
        assert_eq!(ran.code, code, "{args:?}: {}", ran.err);
        assert!(!ran.err.contains("panicked"), "{args:?}: {}", ran.err);
        for word in words {
            assert!(ran.err.contains(word), "{args:?} says nothing of {word:?}: {}", ran.err);
        }
    }
}

/// The one object that `text` is.
pub fn object(text: &str) -> Value {
    let value: Value = serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"));
    assert!(value.is_object(), "{text}");
    value
}

/// A file or folder of the golden values.
pub fn golden(name: &str) -> PathBuf {
    let folder = std::env::var_os("SPARSESCOPE_GOLDEN").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden"),
        PathBuf::from,
    );
    folder.join(name)
}

/// A file or folder of the real input, if there is any.
pub fn real(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("SPARSESCOPE_REAL").map(|folder| PathBuf::from(folder).join(name));
    let there = path.filter(|p| p.exists());
    if there.is_none() {
        println!("skipped: SPARSESCOPE_REAL names no folder with {name}");
    }
    there
}
