//! Room on the disk.

use crate::error::{Error, ErrorKind, Result};
use crate::llama::memory::human;
use std::path::Path;

/// Bytes that may be written to the disk of `folder`; `None` where the system does not say.
#[cfg(unix)]
fn free(folder: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(folder).ok()?;
    stat.f_bavail.checked_mul(stat.f_frsize)
}

#[cfg(not(unix))]
fn free(_folder: &Path) -> Option<u64> {
    None
}

/// Refuses to write what cannot fit, with the numbers.
pub(super) fn check_room(folder: &Path, needed: u64) -> Result<()> {
    match free(folder) {
        Some(free) if needed > free => Err(Error::new(
            ErrorKind::Io,
            format!("There is too little room in {}", folder.display()),
            format!("the activations take {}, and {} are free", human(needed), human(free)),
            "Free some disk space, choose a folder on another disk, store fewer rows, or store \
             them as bf16",
        )),
        _ => Ok(()),
    }
}
