//! Dictionaries that were opened, shared by the jobs that look into them.

use sparsescope_core::Result;
use sparsescope_core::sae::Sae;
use sparsescope_core::workspace::{SaeId, Workspace};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Dictionaries kept at most.
const MOST: usize = 4;

/// A dictionary of the workspace, by its number.
type Known = (SaeId, Arc<Sae>);

/// The last few dictionaries that jobs opened. Only jobs look into it: the window hands it on.
#[derive(Debug, Clone, Default)]
pub struct OpenSaes(Arc<Mutex<Vec<Known>>>);

impl OpenSaes {
    /// The dictionary `id` of the workspace, from memory if it was opened lately.
    ///
    /// # Errors
    /// It is not there, or cannot be read.
    pub fn get(&self, workspace: &Path, id: SaeId) -> Result<Arc<Sae>> {
        let known =
            |all: &[Known]| all.iter().find(|(known, _)| *known == id).map(|(_, sae)| sae.clone());
        if let Some(sae) = known(&self.0.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(sae);
        }
        let sae = Arc::new(Sae::load(&Workspace::open(workspace)?.sae_dir(id)?)?);
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(known, _)| *known != id);
        all.push((id, sae.clone()));
        let over = all.len().saturating_sub(MOST);
        all.drain(..over);
        Ok(sae)
    }
}
