//! How much memory a model and a pass need, and whether the machine has it.

use super::{Config, Logits, Model, Site};
use crate::error::{Error, ErrorKind, Result};
use candle_core::{DType, Device};

/// Bytes that the weights take once loaded.
pub fn load_bytes(config: &Config, dtype: DType) -> u64 {
    config.parameters().saturating_mul(dtype.size_in_bytes() as u64)
}

/// Bytes of one forward pass, an upper estimate: what is alive at once in its widest moment, what
/// is read, what is traced.
pub fn pass_bytes(
    config: &Config,
    batch: usize,
    positions: usize,
    read: &[Site],
    logits: Logits,
    trace: bool,
) -> u64 {
    let n = |x: usize| x as u64;
    let rows = n(batch).saturating_mul(n(positions));
    let qkv = n(config.heads + 2 * config.kv_heads) * n(config.head_dim);
    let z = n(config.heads) * n(config.head_dim);
    let (width, hidden) = (n(config.width), n(config.hidden));
    // Residual stream, its normed form and the sum, beside either attention's or the MLP's parts.
    let block = 4 * width + (qkv + z + n(config.heads)).max(3 * hidden);
    let kept = if trace { n(config.layers) * (2 * width + qkv + z + 2 * hidden) } else { 0 };
    let read = n(read.len()) * width;
    let last = match logits {
        Logits::None => 0,
        Logits::Last => n(batch).saturating_mul(n(config.vocab)),
        Logits::All => rows.saturating_mul(n(config.vocab)),
    };
    // The backward pass has as much again of logits and of one block.
    let back = if trace { 2 } else { 1 };
    let numbers =
        rows.saturating_mul(block * back + kept + read).saturating_add(last.saturating_mul(back));
    numbers.saturating_mul(4)
}

impl Model {
    /// Bytes that its weights take in memory.
    pub fn bytes(&self) -> u64 {
        load_bytes(self.config(), self.dtype())
    }
}

/// Bytes of memory that can be taken without swapping; `None` where the system does not say.
pub fn available() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find(|l| l.starts_with("MemAvailable:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    let free = kib.saturating_mul(1024);
    Some(group_room().map_or(free, |room| room.min(free)))
}

/// What is left of the memory limit of the container or session that the program runs in.
fn group_room() -> Option<u64> {
    let read = |name: &str| -> Option<u64> {
        std::fs::read_to_string(format!("/sys/fs/cgroup/{name}")).ok()?.trim().parse().ok()
    };
    let (limit, used) = (read("memory.max")?, read("memory.current")?);
    // File pages count as used but are given back on demand.
    let stat = std::fs::read_to_string("/sys/fs/cgroup/memory.stat").unwrap_or_default();
    let file = stat.lines().find_map(|l| l.strip_prefix("inactive_file ")?.parse().ok());
    Some(limit.saturating_sub(used.saturating_sub(file.unwrap_or(0))))
}

/// Refuses what cannot fit, with the numbers. `what` completes "There is too little memory to".
///
/// # Errors
/// `needed` is more than the machine has left. Where the system does not say, nothing is refused.
pub fn check_fits(what: &str, needed: u64, device: &Device) -> Result<()> {
    if !device.is_cpu() {
        return Ok(());
    }
    match available() {
        Some(free) if needed > free => Err(Error::new(
            ErrorKind::Memory,
            format!("There is too little memory to {what}"),
            format!("it needs {}, and {} are free", human(needed), human(free)),
            "Close other programs, or choose something smaller",
        )),
        _ => Ok(()),
    }
}

/// Bytes in words: `1.3 GB`.
pub fn human(bytes: u64) -> String {
    let units = ["bytes", "kB", "MB", "GB", "TB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} bytes") } else { format!("{value:.1} {}", units[unit]) }
}
