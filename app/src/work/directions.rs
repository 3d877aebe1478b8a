//! Maps of directions, and two dictionaries against one another.

use crate::state::{Compared, Relatives};
use sparsescope_core::directions::{
    CosineBlock, DirectionMap, Directions, MapMethod, TsneSpec, best_sites, compare, cosine_block,
    direction_map, load_map, save_map,
};
use sparsescope_core::features::FeatureTable;
use sparsescope_core::jobs::JobContext;
use sparsescope_core::llama::Site;
use sparsescope_core::sae::Sae;
use sparsescope_core::workspace::{RunStatus, SaeId, Workspace};
use sparsescope_core::{Error, Result};
use std::path::Path;
use std::sync::Arc;

/// The map by principal components, and the t-SNE map if one was kept.
pub fn open(
    ctx: &JobContext,
    workspace: &Path,
    id: SaeId,
) -> Result<(DirectionMap, Option<DirectionMap>)> {
    let dir = Workspace::open(workspace)?.sae_dir(id)?;
    let sae = Sae::load(&dir)?;
    let map = direction_map(ctx, &sae, MapMethod::Pca)?;
    // A kept map that is damaged is no reason to show none: it can be made again.
    let kept = load_map(&dir, &sae, TsneSpec::default()).unwrap_or_default();
    Ok((map, kept))
}

/// The t-SNE map: the kept one, or a new one, which is kept.
pub fn lay(ctx: &JobContext, workspace: &Path, id: SaeId) -> Result<DirectionMap> {
    let dir = Workspace::open(workspace)?.sae_dir(id)?;
    let sae = Sae::load(&dir)?;
    let spec = TsneSpec::default();
    if let Ok(Some(kept)) = load_map(&dir, &sae, spec) {
        return Ok(kept);
    }
    let map = direction_map(ctx, &sae, MapMethod::Tsne(spec))?;
    save_map(&dir, &sae, &map)?;
    Ok(map)
}

/// Each latent's nearest relative among the workspace's dictionaries of other sites of the same
/// model: of each site the one that was trained last.
pub fn relate(ctx: &JobContext, workspace: &Path, id: SaeId) -> Result<Relatives> {
    let db = Workspace::open(workspace)?;
    let own = db.sae(id)?;
    let mut among: Vec<(SaeId, Site)> = Vec::new();
    let mut dirs = Vec::new();
    // The latest comes first.
    for other in db.list_saes()? {
        let fits = other.model == own.model
            && other.site != own.site
            && other.width == own.width
            && other.status == RunStatus::Done;
        if fits && among.iter().all(|(_, site)| *site != other.site) {
            among.push((other.id, other.site));
            dirs.push(other.dir);
        }
    }
    if among.is_empty() {
        return Err(Error::setting(
            "There is no other site to look at",
            "the workspace holds no finished dictionary of another site of this model",
            "Train one at another site, or colour the map by something else",
        ));
    }
    let of = Directions::of(&Sae::load(&own.dir)?);
    let sites: Vec<Site> = among.iter().map(|(_, site)| *site).collect();
    let best = best_sites(ctx, &of, &sites, |i| Sae::load(&dirs[i]))?;
    Ok(Relatives { among, best })
}

/// The cosines of a selection.
pub fn block(workspace: &Path, id: SaeId, latents: &[u32]) -> Result<CosineBlock> {
    let dir = Workspace::open(workspace)?.sae_dir(id)?;
    cosine_block(&Sae::load(&dir)?, latents)
}

/// Two dictionaries against one another.
pub fn compared(ctx: &JobContext, workspace: &Path, a: SaeId, b: SaeId) -> Result<Compared> {
    let db = Workspace::open(workspace)?;
    let (from, to) = (Sae::load(&db.sae_dir(a)?)?, Sae::load(&db.sae_dir(b)?)?);
    let found = compare(ctx, &from, &to)?;
    let features = |id| -> Option<Arc<FeatureTable>> {
        // Densities are a help, not what was asked for.
        db.load_features(id).ok().flatten().map(Arc::new)
    };
    Ok(Compared { a, b, found, features_a: features(a), features_b: features(b) })
}
