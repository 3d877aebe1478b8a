//! What was typed and set on the labels screen.

use sparsescope_core::features::FeatureTable;
use sparsescope_core::labels::{
    Counts, Delivery, Endpoint, KeySource, Label, LabelRequest, Limits, Protocol,
};
use sparsescope_core::workspace::SaeId;

/// The labels screen's form.
#[derive(Debug)]
pub struct LabelsForm {
    /// How the server is spoken to.
    pub protocol: Protocol,
    /// Its address.
    pub url: String,
    /// The model.
    pub model: String,
    /// Whether the server wants a key.
    pub keyed: bool,
    /// The name of the key: an environment variable, or an entry of the keyring.
    pub key: String,
    /// A key that is being typed, to be kept in the keyring; emptied as soon as it is sent there.
    pub typed: String,
    /// The name of the key that was last looked for.
    pub looked: String,
    /// How requests are sent.
    pub delivery: Delivery,
    /// Which latents.
    pub which: Which,
    /// How many of them at most.
    pub most: usize,
    /// Whether labels are judged.
    pub judge: bool,
    /// How fast.
    pub limits: Limits,
    /// Dollars for a million tokens that are read, and that are written.
    pub price: (f64, f64),
}

/// Which latents are to be labelled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Which {
    /// Those without a label, the most frequent first.
    #[default]
    Unlabelled,
    /// All, the most frequent first.
    Frequent,
    /// The one that is chosen on the features screen.
    Chosen,
}

impl Default for LabelsForm {
    fn default() -> Self {
        let protocol = Protocol::OpenAi;
        Self {
            protocol,
            url: protocol.usual_url().into(),
            model: String::new(),
            keyed: true,
            key: protocol.usual_key().into(),
            typed: String::new(),
            looked: String::new(),
            delivery: Delivery::Direct,
            which: Which::Unlabelled,
            most: 20,
            judge: true,
            limits: Limits::default(),
            price: (0.0, 0.0),
        }
    }
}

impl LabelsForm {
    /// Another kind of server: what was not changed by hand follows.
    pub fn speak(&mut self, protocol: Protocol) {
        if self.url == self.protocol.usual_url() {
            self.url = protocol.usual_url().into();
        }
        if self.key == self.protocol.usual_key() {
            self.key = protocol.usual_key().into();
        }
        self.protocol = protocol;
        if protocol != Protocol::Anthropic {
            self.delivery = Delivery::Direct;
        }
    }

    /// Whom to ask.
    pub fn endpoint(&self) -> Endpoint {
        let key =
            if self.keyed { KeySource::Named(self.key.trim().to_owned()) } else { KeySource::None };
        Endpoint {
            protocol: self.protocol,
            url: self.url.trim().to_owned(),
            model: self.model.trim().to_owned(),
            key,
        }
    }

    /// The latents that are meant: those that fire too often to be read, on more than a tenth of
    /// all tokens, come last.
    pub fn latents(&self, table: &FeatureTable, labels: &[Label], chosen: Option<u32>) -> Vec<u32> {
        if self.which == Which::Chosen {
            return chosen.into_iter().collect();
        }
        let free = |latent: u32| labels.binary_search_by_key(&latent, |l| l.latent).is_err();
        let mut all: Vec<_> = table
            .latents
            .iter()
            .filter(|l| l.density > 0.0 && (self.which == Which::Frequent || free(l.index)))
            .collect();
        all.sort_by(|a, b| {
            (a.density > 0.1).cmp(&(b.density > 0.1)).then(b.density.total_cmp(&a.density))
        });
        all.into_iter().take(self.most).map(|l| l.index).collect()
    }

    /// What would be asked.
    pub fn request(&self, sae: SaeId, latents: Vec<u32>) -> LabelRequest {
        LabelRequest {
            sae,
            latents,
            endpoint: self.endpoint(),
            delivery: self.delivery,
            limits: self.limits,
            counts: Counts::default(),
            judge: self.judge,
            seed: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sparsescope_core::features::LatentSummary;
    use sparsescope_core::labels::LabelSource;

    #[test]
    fn the_frequent_and_unlabelled_come_first_and_the_silent_never() {
        let latent = |index, density| LatentSummary { index, density, ..LatentSummary::default() };
        let latents = vec![latent(0, 0.01), latent(1, 0.5), latent(2, 0.0), latent(3, 0.05)];
        let table = FeatureTable { latents, ..FeatureTable::default() };
        let label = Label {
            id: 1,
            sae: 1,
            latent: 3,
            text: "x".into(),
            source: LabelSource::Hand,
            scores: None,
            current: true,
            created: 0,
        };
        let mut form = LabelsForm::default();
        assert_eq!(form.latents(&table, std::slice::from_ref(&label), None), [0, 1]);
        form.which = Which::Frequent;
        assert_eq!(form.latents(&table, &[label], None), [3, 0, 1]);
        form.which = Which::Chosen;
        assert_eq!(form.latents(&table, &[], Some(7)), [7]);
    }

    #[test]
    fn another_kind_of_server_keeps_what_was_typed() {
        let mut form = LabelsForm::default();
        form.speak(Protocol::Anthropic);
        assert_eq!(
            (form.url.as_str(), form.key.as_str()),
            ("https://api.anthropic.com", "ANTHROPIC_API_KEY")
        );
        form.url = "http://localhost:1".into();
        form.delivery = Delivery::Batch;
        form.speak(Protocol::OpenAi);
        assert_eq!((form.url.as_str(), form.delivery), ("http://localhost:1", Delivery::Direct));
    }
}
