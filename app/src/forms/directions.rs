//! What was typed and set on the directions screen.

use crate::widgets::point_cloud::Cloud;
use egui::Color32;
use sparsescope_core::llama::Site;
use sparsescope_core::workspace::SaeId;

/// The directions screen's form.
#[derive(Debug, Default)]
pub struct DirectionsForm {
    /// Which part of the screen.
    pub part: DirectionsPart,
    /// Which map.
    pub method: Layout,
    /// What the colours say.
    pub coloring: Coloring,
    /// Latents with this in their label, or this number, stand out.
    pub search: String,
    /// Whether a drag draws a lasso.
    pub lasso: bool,
    /// The points.
    pub cloud: Cloud,
    /// Where they were last drawn.
    pub drawn: Option<egui::Rect>,
    /// A colour for each point, and what they were made from.
    pub colors: Vec<Color32>,
    /// The key to them.
    pub legend: Legend,
    /// What `colors` was made from.
    pub colored: Option<ColorKey>,
    /// The points that the search found, and what it was made from.
    pub found: Vec<u32>,
    /// What `found` was made from.
    pub searched: Option<(String, ColorKey)>,
    /// Counts the looks.
    pub look: u64,
    /// The selection that the points were last drawn with.
    pub selected: Vec<u32>,
    /// The dictionary to compare with.
    pub other: Option<SaeId>,
    /// Which list of the comparison.
    pub list: CompareList,
}

/// The parts of the screen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DirectionsPart {
    /// The map of one dictionary.
    #[default]
    Map,
    /// Two dictionaries.
    Compare,
}

/// The maps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Layout {
    /// Principal components.
    #[default]
    Pca,
    /// t-SNE.
    Tsne,
}

/// What the colours of the map say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Coloring {
    /// Share of tokens a latent fires on.
    #[default]
    Density,
    /// Greatest activation.
    Max,
    /// Whether it has a label.
    Label,
    /// Where its nearest relative is.
    Site,
}

/// What colours depend on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ColorKey {
    /// What they say.
    pub coloring: Coloring,
    /// The dark theme.
    pub dark: bool,
    /// The features.
    pub features: u64,
    /// The map and the relatives.
    pub directions: u64,
    /// How many labels there are, and their reading.
    pub labels: (usize, u64),
}

/// The key to the colours.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Legend {
    /// There is nothing to tell.
    #[default]
    None,
    /// From one value to another, on a ramp.
    Ramp {
        /// What it is.
        name: &'static str,
        /// The least, as written.
        from: String,
        /// The greatest, as written.
        to: String,
        /// How many have none, and what that means.
        without: Option<String>,
    },
    /// A few kinds.
    Kinds {
        /// What it is.
        name: &'static str,
        /// Colour, name and how many.
        kinds: Vec<(Color32, String, usize)>,
    },
}

/// The lists of a comparison.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CompareList {
    /// Pairs.
    #[default]
    Pairs,
    /// What only the first has.
    OnlyA,
    /// What only the second has.
    OnlyB,
}

/// A site's place among others, for its colour.
pub fn sites_of(best: &[(SaeId, Site)]) -> Vec<Site> {
    let mut sites: Vec<Site> = best.iter().map(|(_, site)| *site).collect();
    sites.sort_unstable();
    sites.dedup();
    sites
}
