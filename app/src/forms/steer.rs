//! What was typed and set on the steering screen.

use crate::work::circuit::usable;
use sparsescope_core::edits::{Edit, Op, Positions};
use sparsescope_core::llama::Site;
use sparsescope_core::steering::{Message, Prompt, Role, SamplerSpec};
use sparsescope_core::workspace::{SaeId, SaeRecord};
use std::collections::BTreeMap;

/// What happens to a feature's activation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    /// f' = f + strength · maximum.
    #[default]
    Add,
    /// f' = strength · maximum.
    Set,
    /// f' = strength · f.
    Scale,
    /// f' = 0.
    Ablate,
}

impl Mode {
    /// Every mode: name, what it does.
    pub const ALL: [(Self, &'static str, &'static str); 4] = [
        (Self::Add, "add", "f' = f + strength × the greatest activation that was seen"),
        (Self::Set, "set", "f' = strength × the greatest activation that was seen"),
        (Self::Scale, "scale", "f' = strength × f"),
        (Self::Ablate, "ablate", "f' = 0"),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|m| m.0 == self).map_or("", |m| m.1)
    }

    /// Whether the strength is counted in maxima.
    pub fn in_maxima(self) -> bool {
        matches!(self, Self::Add | Self::Set)
    }
}

/// At which tokens a feature is changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Place {
    /// Prompt and answer.
    #[default]
    All,
    /// What is written, not the prompt.
    Generated,
    /// Tokens from the first number to the second, both included.
    Range(usize, usize),
    /// Positions that came with a set of edits.
    Other(Positions),
}

/// A feature to change.
#[derive(Debug, Clone, PartialEq)]
pub struct SteerRow {
    /// Where.
    pub site: Site,
    /// Of which dictionary of the workspace.
    pub sae: SaeId,
    /// Which latent.
    pub latent: u32,
    /// Whether it is changed at all.
    pub on: bool,
    /// What happens.
    pub mode: Mode,
    /// How strongly: in maxima, or as a factor.
    pub strength: f32,
    /// Where in the text.
    pub place: Place,
    /// A strength in activation units that came with a set of edits, until the maximum is known.
    pub raw: Option<f32>,
}

impl SteerRow {
    /// A feature that begins as one maximum more, everywhere.
    pub fn new(site: Site, sae: SaeId, latent: u32) -> Self {
        Self {
            site,
            sae,
            latent,
            on: true,
            mode: Mode::Add,
            strength: 1.0,
            place: Place::All,
            raw: None,
        }
    }

    /// The row of an edit of that dictionary.
    pub fn of(edit: &Edit, sae: SaeId) -> Self {
        let (mode, strength, raw) = match edit.op {
            Op::Add(v) => (Mode::Add, 0.0, Some(v)),
            Op::Set(v) => (Mode::Set, 0.0, Some(v)),
            Op::Scale(s) => (Mode::Scale, s, None),
            Op::Ablate => (Mode::Ablate, 0.0, None),
        };
        let place = match &edit.positions {
            Positions::All => Place::All,
            Positions::Generated => Place::Generated,
            Positions::Range(range) => Place::Range(range.start, range.end.saturating_sub(1)),
            other => Place::Other(other.clone()),
        };
        let row = Self::new(edit.site, sae, edit.latent);
        Self { mode, strength, raw, place, ..row }
    }

    /// Takes the greatest activation of its latent, so that a strength that came in activation
    /// units is counted in maxima.
    pub fn know(&mut self, max: f32) {
        if max > 0.0
            && let Some(raw) = self.raw.take()
        {
            self.strength = raw / max;
        }
    }

    /// The edit, if what it needs is known: `max` is the latent's greatest activation.
    pub fn edit(&self, max: Option<f32>) -> Option<Edit> {
        let value = || match (self.raw, max) {
            (Some(raw), _) => Some(raw),
            (None, Some(max)) => Some(self.strength * max),
            (None, None) => None,
        };
        let op = match self.mode {
            Mode::Add => Op::Add(value()?),
            Mode::Set => Op::Set(value()?),
            Mode::Scale => Op::Scale(self.strength),
            Mode::Ablate => Op::Ablate,
        };
        let positions = match &self.place {
            Place::All => Positions::All,
            Place::Generated => Positions::Generated,
            Place::Range(first, last) => Positions::Range(*first..last.max(first) + 1),
            Place::Other(positions) => positions.clone(),
        };
        Some(Edit { site: self.site, latent: self.latent, positions, op })
    }
}

/// Two prompts, or lists of them, a line each, whose difference is a direction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContrastForm {
    /// Whether it is unfolded.
    pub open: bool,
    /// Texts that have it.
    pub toward: String,
    /// Texts that do not.
    pub away: String,
    /// Where they are read; the model's middle if `None`.
    pub site: Option<Site>,
    /// Whether only the last token is read, rather than the mean over all.
    pub last: bool,
}

/// The steering screen's form.
#[derive(Debug)]
pub struct SteerForm {
    /// Whether the prompt is a conversation.
    pub chat: bool,
    /// The text that is written on.
    pub text: String,
    /// What the conversation begins with, if anything.
    pub system: String,
    /// What the person says.
    pub user: String,
    /// Features to change, in the order in which that is done.
    pub rows: Vec<SteerRow>,
    /// The site that the third stream replaces by its reconstruction.
    pub splice: Option<Site>,
    /// Most tokens to write.
    pub tokens: usize,
    /// How tokens are chosen.
    pub sampler: SamplerSpec,
    /// Words or a latent to look for.
    pub search: String,
    /// When that was last changed, by the window's clock, if nothing was asked since.
    pub changed: Option<f64>,
    /// What the set of edits is to be called.
    pub name: String,
    /// Whether the settings of the sampler are unfolded.
    pub more: bool,
    /// A direction from two prompts.
    pub contrast: ContrastForm,
    /// The set of edits that is about to be deleted.
    pub deleting: Option<i64>,
}

impl Default for SteerForm {
    fn default() -> Self {
        Self {
            chat: false,
            text: "The pilots near the old house".to_owned(),
            system: String::new(),
            user: String::new(),
            rows: Vec::new(),
            splice: None,
            tokens: 60,
            sampler: SamplerSpec { temperature: 0.8, seed: 1, ..SamplerSpec::default() },
            search: String::new(),
            changed: None,
            name: String::new(),
            more: false,
            contrast: ContrastForm::default(),
            deleting: None,
        }
    }
}

impl SteerForm {
    /// The prompt as it is typed.
    pub fn prompt(&self) -> Prompt {
        if !self.chat {
            return Prompt::Text(self.text.clone());
        }
        let mut messages = Vec::new();
        for (role, text) in [(Role::System, &self.system), (Role::User, &self.user)] {
            if !text.trim().is_empty() {
                messages.push(Message { role, content: text.clone() });
            }
        }
        Prompt::Chat(messages)
    }

    /// Which dictionary stands at each site: that of its features; at the spliced site, where no
    /// feature is changed, the latest.
    pub fn dictionaries(&self, hash: &str, records: &[SaeRecord]) -> BTreeMap<Site, SaeId> {
        let mut out: BTreeMap<Site, SaeId> =
            self.rows.iter().filter(|row| row.on).map(|row| (row.site, row.sae)).collect();
        if let Some(site) = self.splice
            && !out.contains_key(&site)
            && let Some(record) = usable(records, hash, site).next()
        {
            out.insert(site, record.id);
        }
        out
    }

    /// Adds a feature, unless it is there. A site has one dictionary: features of another one at
    /// the same site are let go, and how many is said.
    pub fn add(&mut self, row: SteerRow) -> usize {
        let before = self.rows.len();
        self.rows.retain(|other| other.site != row.site || other.sae == row.sae);
        let gone = before - self.rows.len();
        let same = |other: &&mut SteerRow| (other.site, other.latent) == (row.site, row.latent);
        match self.rows.iter_mut().find(same) {
            Some(there) => there.on = true,
            None => self.rows.push(row),
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_its_strength_in_maxima_and_its_edit_in_activations() {
        let mut row = SteerRow::new(Site::Resid(2), 1, 7);
        row.strength = 2.0;
        assert_eq!(row.edit(None), None);
        assert_eq!(row.edit(Some(3.0)).unwrap().to_string(), "resid.2/7 add 6");
        row.place = Place::Range(3, 5);
        row.mode = Mode::Scale;
        assert_eq!(row.edit(None).unwrap().to_string(), "resid.2/7 scale 2 @ 3..6");
    }

    #[test]
    fn an_edit_that_came_from_elsewhere_comes_back_as_it_was() {
        for text in [
            "resid.2/7 add 6",
            "resid.2/7 set -1.5 @ generated",
            "resid.2/7 scale 0.5 @ 3..6",
            "resid.2/7 ablate @ 1,5",
        ] {
            let edit: Edit = text.parse().unwrap();
            let mut row = SteerRow::of(&edit, 4);
            assert_eq!(row.edit(None).unwrap(), edit);
            row.know(3.0);
            assert_eq!(row.edit(Some(3.0)).unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_site_has_one_dictionary() {
        let mut form = SteerForm::default();
        assert_eq!(form.add(SteerRow::new(Site::Resid(2), 1, 7)), 0);
        assert_eq!(form.add(SteerRow::new(Site::Resid(2), 1, 8)), 0);
        assert_eq!(form.add(SteerRow::new(Site::Resid(2), 1, 7)), 0);
        assert_eq!(form.rows.len(), 2);
        assert_eq!(form.add(SteerRow::new(Site::Resid(1), 3, 7)), 0);
        assert_eq!(form.add(SteerRow::new(Site::Resid(2), 2, 7)), 2);
        assert_eq!(form.rows.len(), 2);
    }
}
