//! Which other site has the direction most like each latent's.

use super::pairs::nearest_of_all;
use super::unit::Directions;
use crate::error::Result;
use crate::jobs::JobContext;
use crate::llama::Site;
use crate::sae::Sae;

/// Where a latent's nearest relative at another site is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BestSite {
    /// The other site.
    pub site: Site,
    /// Which of the dictionaries that were offered.
    pub dictionary: usize,
    /// The latent of that dictionary.
    pub latent: u32,
    /// Cosine of the two decoder directions.
    pub cosine: f32,
}

/// For each latent of `of` its nearest decoder direction among other sites' dictionaries, which
/// `open` reads one after the other; the first one wins among equals. A dictionary of another
/// width is passed over; a latent without a direction has none.
///
/// # Errors
/// A dictionary cannot be read, or the job was stopped.
pub fn best_sites<E>(
    ctx: &JobContext<E>,
    of: &Directions,
    sites: &[Site],
    open: impl Fn(usize) -> Result<Sae>,
) -> Result<Vec<Option<BestSite>>> {
    let mut best: Vec<Option<BestSite>> = vec![None; of.total()];
    for (dictionary, site) in sites.iter().enumerate() {
        ctx.check()?;
        let other = Directions::of(&open(dictionary)?);
        if other.width() != of.width() {
            continue;
        }
        let nearest = nearest_of_all(ctx, of, &other, 1, false)?;
        for (i, latent) in of.latents().iter().enumerate() {
            let Some((place, cosine)) = nearest.of(i).next() else { continue };
            let best = &mut best[*latent as usize];
            if best.is_none_or(|b| cosine > b.cosine) {
                let latent = other.latents()[place];
                *best = Some(BestSite { site: *site, dictionary, latent, cosine });
            }
        }
    }
    Ok(best)
}
