//! Each row of the table.

use super::super::measurer::dictionaries;
use super::super::pooled::{Pooled, most_latents, pooled_at};
use super::super::{Accuracies, Probe, Split, Text, train_probe, trim};
use super::{RowKind, TableInput, TableRow, TableSpec, concepts, random, skyline, words};
use crate::circuits::Node;
use crate::edits::{Edit, Edits};
use crate::error::Result;
use crate::jobs::JobContext;
use crate::llama::{Change, Site};

/// Makes rows.
pub(super) struct Maker<'a, E> {
    pub ctx: &'a JobContext<E>,
    pub input: &'a TableInput<'a>,
    pub spec: &'a TableSpec,
    /// What is trimmed, up to the probe's site.
    pub trimmed: Vec<Node>,
}

/// What a row measured.
pub(super) struct Measured {
    pub right: Vec<f64>,
    pub trimmed: usize,
    pub train_accuracy: Option<f64>,
    pub made: String,
    pub words: Vec<String>,
}

/// A row, or why there is none.
pub(super) type Outcome = std::result::Result<Measured, (String, String)>;

impl<'a, E> Maker<'a, E> {
    pub(super) fn new(
        ctx: &'a JobContext<E>,
        input: &'a TableInput<'a>,
        spec: &'a TableSpec,
    ) -> Result<Self> {
        let mut trimmed = input.judgements.trimmed();
        trimmed.retain(|node| node.site <= input.probe.site);
        // Refused here rather than after minutes.
        Edits::new(&trim(&trimmed), &dictionaries(input.bases))?;
        Ok(Self { ctx, input, spec, trimmed })
    }

    pub(super) fn row(&self, kind: RowKind) -> Result<TableRow> {
        let seed = self.spec.seed;
        let test = &self.input.split.balanced_test;
        Ok(match self.measured(kind)? {
            Ok(m) => TableRow {
                kind,
                made: m.made,
                trimmed: m.trimmed,
                accuracies: Some(Accuracies::new(test, &m.right, seed)),
                missing: None,
                train_accuracy: m.train_accuracy,
                words: m.words,
            },
            Err((made, why)) => TableRow {
                kind,
                made,
                trimmed: 0,
                accuracies: None,
                missing: Some(why),
                train_accuracy: None,
                words: Vec::new(),
            },
        })
    }

    fn measured(&self, kind: RowKind) -> Result<Outcome> {
        let Split { balanced_train, balanced_test: test, .. } = self.input.split;
        match kind {
            RowKind::Original => {
                let x = self.pooled(test, &[])?;
                let right = self.input.probe.right(&x, test);
                let made =
                    "The probe as it learnt from the ambiguous part, on the unchanged model.";
                Ok(Ok(Measured {
                    train_accuracy: Some(self.input.probe.train_accuracy),
                    ..plain(right, 0, made)
                }))
            }
            RowKind::Random => random::row(self),
            RowKind::Shift => self.trimmed(kind, |_| true, false),
            RowKind::ShiftRetrained => self.trimmed(kind, |_| true, true),
            RowKind::NeuronSkyline => skyline::neurons(self),
            RowKind::FeatureSkyline => skyline::features(self),
            RowKind::ConceptBottleneck => concepts::row(self),
            RowKind::Oracle => {
                let probe = self.train(balanced_train, &[])?;
                let x = self.pooled(test, &[])?;
                let made = "A probe that learnt from the balanced training part, on the unchanged \
                            model: what could be had with the spurious labels.";
                Ok(Ok(Measured {
                    train_accuracy: Some(probe.train_accuracy),
                    ..plain(probe.right(&x, test), 0, made)
                }))
            }
            RowKind::EmbeddingOnly => self.trimmed(kind, |site| site == Site::Embed, false),
            RowKind::EmbeddingOnlyRetrained => self.trimmed(kind, |site| site == Site::Embed, true),
            RowKind::WithoutEmbedding => self.trimmed(kind, |site| site != Site::Embed, false),
            RowKind::WithoutEmbeddingRetrained => {
                self.trimmed(kind, |site| site != Site::Embed, true)
            }
            RowKind::WordsDeleted => words::row(self),
        }
    }

    /// The trim, or a part of it.
    fn trimmed(
        &self,
        kind: RowKind,
        which: impl Fn(Site) -> bool,
        retrain: bool,
    ) -> Result<Outcome> {
        let part = match kind {
            RowKind::Shift | RowKind::ShiftRetrained => "Every trimmed feature",
            RowKind::EmbeddingOnly | RowKind::EmbeddingOnlyRetrained => {
                "Only the trimmed features of the embedding's dictionary"
            }
            _ => "Only the trimmed features that are not of the embedding's dictionary",
        };
        let verb = if part.starts_with("Every") { "is" } else { "are" };
        let then = match retrain {
            true => {
                "; then a probe is trained anew, on the ambiguous part alone, on the model so \
                     changed"
            }
            false => "; the probe stays as it is",
        };
        let made = format!("{part} {verb} put to 0 at all positions, errors kept live{then}.");
        let nodes: Vec<Node> = self.trimmed.iter().filter(|n| which(n.site)).copied().collect();
        if nodes.is_empty() {
            let why = match self.trimmed.is_empty() {
                true => "No feature was trimmed.",
                false => "No trimmed feature belongs to this part.",
            };
            return Ok(Err((made, why.to_owned())));
        }
        let edits = trim(&nodes);
        let test = &self.input.split.balanced_test;
        let x = self.pooled(test, &edits)?;
        if !retrain {
            let right = self.input.probe.right(&x, test);
            return Ok(Ok(plain(right, nodes.len(), made)));
        }
        let probe = self.train(&self.input.split.ambiguous, &edits)?;
        Ok(Ok(Measured {
            train_accuracy: Some(probe.train_accuracy),
            ..plain(probe.right(&x, test), nodes.len(), made)
        }))
    }

    pub(super) fn train(&self, texts: &[Text], edits: &[Edit]) -> Result<Probe> {
        let TableInput { model, bases, probe_spec, .. } = self.input;
        train_probe(self.ctx, model, bases, texts, edits, probe_spec)
    }

    /// The probe's site over `texts` under a trim.
    pub(super) fn pooled(&self, texts: &[Text], edits: &[Edit]) -> Result<Pooled> {
        let edits = Edits::new(edits, &dictionaries(self.input.bases))?;
        self.changed(texts, &edits.changes())
    }

    /// The same under other changes.
    pub(super) fn changed(&self, texts: &[Text], change: &[(Site, &dyn Change)]) -> Result<Pooled> {
        let TableInput { model, bases, probe, .. } = self.input;
        let check = || self.ctx.check();
        pooled_at(model, texts, probe.site, change, most_latents(bases), &check)
    }
}

/// A row in which no probe was trained and no words play a part.
pub(super) fn plain(right: Vec<f64>, trimmed: usize, made: impl Into<String>) -> Measured {
    Measured { right, trimmed, train_accuracy: None, made: made.into(), words: Vec::new() }
}
