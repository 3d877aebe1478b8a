//! The system's keyring. An error is a sentence of why there is none.

/// Why a build of this system does not reach a keyring.
const NONE: &str = "this system's keyring cannot be reached from here";

/// The entry of this name; `None` if there is none.
pub(super) fn read(_name: &str) -> Result<Option<String>, String> {
    Err(NONE.into())
}

/// Keeps an entry.
pub(super) fn write(_name: &str, _text: &str) -> Result<(), String> {
    Err(NONE.into())
}

/// Takes an entry out.
pub(super) fn delete(_name: &str) -> Result<(), String> {
    Err(NONE.into())
}
