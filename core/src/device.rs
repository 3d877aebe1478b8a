//! The one place where the device is chosen; nothing above the kernels knows which it is.

use crate::error::{Error, Result};
use candle_core::Device;

/// The device that `name` (`cpu`, `cuda`, `cuda:1`, `metal`) stands for.
///
/// # Errors
/// An unknown name, a device this build has no support for, or one that does not answer.
pub fn choose(name: &str) -> Result<Device> {
    let (kind, index) = name.split_once(':').unwrap_or((name, "0"));
    let index: usize = index.parse().map_err(|_| unknown(name))?;
    match kind {
        "cpu" => Ok(Device::Cpu),
        "cuda" => Device::new_cuda(index).map_err(|e| absent(name, &e)),
        "metal" => Device::new_metal(index).map_err(|e| absent(name, &e)),
        _ => Err(unknown(name)),
    }
}

/// Sets the number of threads of every parallel part, once, before the first use.
///
/// # Errors
/// The pool exists already: the program asked twice, or too late.
pub fn set_threads(threads: usize) -> Result<()> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global()
        .map_err(|e| Error::internal("The number of threads could not be set", e.to_string()))
}

/// The number of threads of every parallel part.
pub fn threads() -> usize {
    rayon::current_num_threads()
}

fn unknown(name: &str) -> Error {
    Error::setting(
        format!("No device is called {name:?}"),
        "the known ones are cpu, cuda, cuda:N and metal",
        "Choose one of these",
    )
}

fn absent(name: &str, error: &candle_core::Error) -> Error {
    Error::setting(
        format!("The device {name} cannot be used"),
        error.to_string(),
        "Use --device cpu, or a build with support for that device on a machine that has it",
    )
}
