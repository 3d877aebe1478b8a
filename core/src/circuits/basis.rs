//! What the nodes at each site are.

use crate::edits::Dictionaries;
use crate::error::{Error, Result};
use crate::llama::{Model, Site};
use crate::sae::{Sae, Wiring};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What the nodes at a site are.
#[derive(Debug, Clone)]
pub enum Basis {
    /// Latents of a dictionary, and its error.
    Sae(Arc<Sae>),
    /// The site's own coordinates; there is no error.
    Neurons,
}

/// What the nodes are at each site that is looked at.
#[derive(Debug, Clone, Default)]
pub struct Bases {
    /// Sites in the order of the forward pass.
    pub sites: BTreeMap<Site, Basis>,
}

impl Bases {
    /// A basis for each of `sites`: its dictionary, or its coordinates where it has none.
    ///
    /// # Errors
    /// A site that the model does not have; a dictionary of another width, or a transcoder.
    pub fn new(model: &Model, sites: &[Site], dictionaries: &Dictionaries) -> Result<Self> {
        let mut out = BTreeMap::new();
        for site in sites {
            let site = site.within(model.config().layers)?;
            let basis = match dictionaries.get(&site) {
                Some(sae) => Basis::Sae(fitting(model, site, sae)?.clone()),
                None => Basis::Neurons,
            };
            out.insert(site, basis);
        }
        Ok(Self { sites: out })
    }

    /// The coordinates of every site: the baseline that needs no dictionary.
    pub fn neurons(model: &Model) -> Self {
        let sites = Site::all(model.config().layers);
        Self { sites: sites.into_iter().map(|site| (site, Basis::Neurons)).collect() }
    }

    /// The dictionary at `site`, if it has one.
    pub fn sae(&self, site: Site) -> Option<&Arc<Sae>> {
        match self.sites.get(&site)? {
            Basis::Sae(sae) => Some(sae),
            Basis::Neurons => None,
        }
    }

    /// Content hash of the dictionary at each site; `None` where the coordinates are the nodes.
    pub fn hashes(&self) -> BTreeMap<Site, Option<String>> {
        let hash = |basis: &Basis| match basis {
            Basis::Sae(sae) => Some(sae.hash()),
            Basis::Neurons => None,
        };
        self.sites.iter().map(|(site, basis)| (*site, hash(basis))).collect()
    }
}

fn fitting<'a>(model: &Model, site: Site, sae: &'a Arc<Sae>) -> Result<&'a Arc<Sae>> {
    let refused = |why: String| {
        Err(Error::setting(
            format!("The dictionary for {site} cannot be used in a circuit"),
            why,
            "Choose one that was trained on this model at this site",
        ))
    };
    if matches!(sae.wiring, Wiring::Transcoder { .. }) {
        return refused("it is a transcoder, whose directions belong to another site".to_owned());
    }
    if sae.width() != model.config().width {
        let (is, should) = (sae.width(), model.config().width);
        return refused(format!("it takes activations of width {is}, and the site has {should}"));
    }
    Ok(sae)
}
