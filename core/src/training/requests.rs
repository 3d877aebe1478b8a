//! What may be asked of a run while it goes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What may be asked of a run while it goes; clones ask the same run.
#[derive(Debug, Clone, Default)]
pub struct Requests {
    resample: Arc<AtomicBool>,
}

impl Requests {
    /// Asks that its dead latents be resampled after the next step.
    pub fn resample(&self) {
        self.resample.store(true, Ordering::Relaxed);
    }

    /// Whether that was asked since the last look.
    pub(super) fn take_resample(&self) -> bool {
        self.resample.swap(false, Ordering::Relaxed)
    }
}
