//! Whether a window can open here, found out before one is tried: the window libraries are
//! loaded at run time, and what is missing shows only as a panic in the midst of it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::{env, fs};

/// The one line that installs everything the window needs on Debian and Ubuntu.
pub const INSTALL: &str = "sudo apt-get install -y libegl1 libgl1-mesa-dri libx11-xcb1 \
    libxcursor1 libxi6 libxkbcommon-x11-0 libwayland-egl1";

/// Libraries the window loads under X11, any one of each row.
const X11: &[&[&str]] = &[
    &["libX11.so.6"],
    &["libX11-xcb.so.1"],
    &["libXcursor.so.1"],
    &["libXi.so.6"],
    &["libxkbcommon-x11.so.0"],
    &["libEGL.so.1", "libGL.so.1"],
];

/// Libraries the window loads under Wayland.
const WAYLAND: &[&[&str]] = &[
    &["libwayland-client.so.0"],
    &["libwayland-egl.so.1"],
    &["libxkbcommon.so.0"],
    &["libEGL.so.1"],
];

/// Why no window can open here, as a sentence without its full stop; `None` if nothing is known
/// to be in its way.
pub fn obstacle() -> Option<String> {
    if !cfg!(target_os = "linux") {
        return None;
    }
    let set = |name: &str| env::var_os(name).is_some_and(|v| !v.is_empty());
    // The window goes to Wayland where both are there.
    let wayland = set("WAYLAND_DISPLAY") || set("WAYLAND_SOCKET");
    if !wayland && !set("DISPLAY") {
        return Some(
            "There is no display here (neither DISPLAY nor WAYLAND_DISPLAY is set)".into(),
        );
    }
    let missing = missing(if wayland { WAYLAND } else { X11 }, &Libraries::of_this_machine()?);
    (!missing.is_empty())
        .then(|| format!("The window's system libraries are missing ({})", missing.join(", ")))
}

fn missing(needed: &[&[&str]], there: &Libraries) -> Vec<String> {
    let gone = needed.iter().filter(|any| !any.iter().any(|name| there.have(name)));
    gone.map(|any| any.join(" or ")).collect()
}

/// The shared libraries that the loader finds.
struct Libraries {
    cached: BTreeSet<Vec<u8>>,
    folders: Vec<PathBuf>,
}

impl Libraries {
    /// From the loader's cache. `None` where there is no such cache (musl, NixOS): nothing can
    /// be said of those without trying.
    fn of_this_machine() -> Option<Self> {
        let cache = fs::read("/etc/ld.so.cache").ok()?;
        let path = env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
        let folders = ["/lib", "/usr/lib", "/lib64", "/usr/lib64", "/usr/local/lib"];
        let folders = folders.into_iter().map(PathBuf::from).chain(env::split_paths(&path));
        Some(Self { cached: names(&cache), folders: folders.collect() })
    }

    fn have(&self, name: &str) -> bool {
        self.cached.contains(name.as_bytes()) || self.folders.iter().any(|f| f.join(name).exists())
    }
}

/// The library names in the loader's cache: its strings end in a zero byte and are names or
/// paths, of which newer loaders keep only the paths.
fn names(cache: &[u8]) -> BTreeSet<Vec<u8>> {
    cache
        .split(|&b| b == 0)
        .filter_map(|s| s.rsplit(|&b| b == b'/').next())
        .filter(|s| s.starts_with(b"lib"))
        .map(<[u8]>::to_vec)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_library_is_named() {
        let cache =
            b"ld.so-1.7.0\0\0\x03\0libX11.so.6\0/usr/lib/libX11.so.6\0/usr/lib/libEGL.so.1\0";
        let there = Libraries { cached: names(cache), folders: Vec::new() };
        assert_eq!(
            missing(X11, &there),
            ["libX11-xcb.so.1", "libXcursor.so.1", "libXi.so.6", "libxkbcommon-x11.so.0"]
        );
        assert!(there.have("libX11.so.6") && !there.have("libX11.so"));
    }

    #[test]
    fn this_machines_own_libraries_are_found() {
        if let Some(there) = Libraries::of_this_machine() {
            assert!(there.have("libc.so.6"));
            assert!(!there.have("libsparsescope-is-no-library.so.9"));
        }
    }
}
