//! Reading a prompt.

use super::saes::OpenSaes;
use sparsescope_core::Result;
use sparsescope_core::evaluation::site_of;
use sparsescope_core::features::{PromptReading, PromptSpec, read_prompt};
use sparsescope_core::jobs::JobContext;
use sparsescope_core::llama::Model;
use sparsescope_core::workspace::SaeId;
use std::path::Path;

/// The latents of the dictionary `id` on each token of a prompt.
pub fn read(
    ctx: &JobContext,
    workspace: &Path,
    saes: &OpenSaes,
    id: SaeId,
    model: &Model,
    spec: &PromptSpec,
) -> Result<PromptReading> {
    let sae = saes.get(workspace, id)?;
    let site = site_of(model, &sae, None, false)?;
    read_prompt(model, &sae, site, spec, &|| ctx.check())
}
