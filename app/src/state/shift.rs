//! What the SHIFT screen shows.

use crate::work::shift::{Card, FileColumns, Found, Live, Texts, TextsSpec, Trained};
use sparsescope_core::Error;
use sparsescope_core::circuits::{CircuitNode, Node};
use sparsescope_core::shift::{
    ACCURACY_DEFINITION, Accuracies, Judgement, Judgements, PronounReport, RowKind, Table,
    TableRow, Telling, Verdict, is_feature,
};
use sparsescope_core::workspace::{StudyId, StudyRecord};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The SHIFT screen.
#[derive(Debug, Default)]
pub struct ShiftState {
    /// Why the last thing asked for could not be done.
    pub failure: Option<Error>,
    /// The columns of the file of texts that was looked at last.
    pub columns: Option<FileColumns>,
    /// What was asked to be read last.
    pub asked: Option<TextsSpec>,
    /// Whether it is being read.
    pub reading: bool,
    /// The texts.
    pub texts: Option<Arc<Texts>>,
    /// The probe that learnt from them.
    pub trained: Option<Arc<Trained>>,
    /// The circuit of the probe's output.
    pub found: Option<Arc<Found>>,
    /// Counts the circuits, so that what is derived from one is made anew for the next.
    pub version: u64,
    /// What was said of its features.
    pub judged: Judged,
    /// What balanced texts tell of each feature, once that was asked for.
    pub tellings: Option<Arc<BTreeMap<Node, Telling>>>,
    /// The card of a feature.
    pub card: CardState,
    /// The probe without what is trimmed.
    pub live: LiveState,
    /// The table.
    pub results: Results,
    /// Studies of the workspace, the latest first.
    pub studies: Vec<StudyRecord>,
    /// Whether the workspace was read.
    pub listed: bool,
    /// The number of the study that is open, once it is saved.
    pub study: Option<StudyId>,
    /// What it is called.
    pub name: String,
    /// Who judged its features.
    pub judged_by: String,
    /// Counts its changes.
    pub changes: u64,
    /// Whether the last of them is on disk.
    pub saved: bool,
    /// The study that is being opened.
    pub opening: Option<StudyId>,
}

/// How the rows are made that are measured as one judges.
pub mod made {
    /// The probe as it was.
    pub const ORIGINAL: &str =
        "The probe as it was trained on the ambiguous texts; nothing is trimmed.";
    /// The probe after the trim.
    pub const SHIFT: &str = "The same probe; the features judged to be trimmed are set to zero at \
                             every position. What the dictionaries do not reconstruct stays.";
    /// The probe trained again.
    pub const RETRAINED: &str = "The judged features are set to zero, and a probe learns anew from \
                                 the ambiguous texts as the trimmed model reads them.";
}

/// Judgements and the way back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Judged {
    /// What holds now.
    pub now: Judgements,
    /// What held before, the latest last.
    past: Vec<Judgements>,
    /// What was taken back, the latest last.
    future: Vec<Judgements>,
}

impl Judged {
    /// Steps that can be taken back.
    const STEPS: usize = 200;

    /// Begins with these.
    pub fn begin(now: Judgements) -> Self {
        Self { now, ..Self::default() }
    }

    /// Replaces what holds, to be taken back in one step.
    pub fn change(&mut self, next: Judgements) {
        if next == self.now {
            return;
        }
        self.past.push(std::mem::replace(&mut self.now, next));
        let over = self.past.len().saturating_sub(Self::STEPS);
        self.past.drain(..over);
        self.future.clear();
    }

    /// Judges one feature; `None` takes its judgement away.
    pub fn judge(&mut self, node: Node, verdict: Option<Verdict>) {
        let mut next = self.now.clone();
        match verdict {
            None => _ = next.all.remove(&node),
            Some(verdict) => {
                let note = next.all.get(&node).map(|j| j.note.clone()).unwrap_or_default();
                next.all.insert(node, Judgement { verdict, note });
            }
        }
        self.change(next);
    }

    /// Writes a note on a judged feature.
    pub fn note(&mut self, node: Node, note: String) {
        let mut next = self.now.clone();
        if let Some(judgement) = next.all.get_mut(&node) {
            judgement.note = note;
            self.change(next);
        }
    }

    /// Takes the last change back; false if there is none.
    pub fn undo(&mut self) -> bool {
        let Some(before) = self.past.pop() else { return false };
        self.future.push(std::mem::replace(&mut self.now, before));
        true
    }

    /// Makes the change again that was taken back last; false if there is none.
    pub fn redo(&mut self) -> bool {
        let Some(after) = self.future.pop() else { return false };
        self.past.push(std::mem::replace(&mut self.now, after));
        true
    }

    /// Whether there is something to take back, and something to make again.
    pub fn ways(&self) -> (bool, bool) {
        (!self.past.is_empty(), !self.future.is_empty())
    }
}

/// The card of a feature.
#[derive(Debug, Default)]
pub struct CardState {
    /// Which is being read.
    pub reading: Option<Node>,
    /// What was read of features of the circuit of this count.
    pub cards: BTreeMap<Node, Arc<Card>>,
    /// Why one could not be read.
    pub failure: Option<(Node, Error)>,
}

/// The probe without what is trimmed.
#[derive(Debug, Default)]
pub struct LiveState {
    /// What was asked last: the circuit's count and what is trimmed.
    pub asked: Option<(u64, Vec<Node>)>,
    /// Whether the answer is on its way.
    pub pending: bool,
    /// The last answer; stays, dimmed, until the next is there.
    pub last: Option<Live>,
    /// Why there is none.
    pub failure: Option<Error>,
}

/// The table.
#[derive(Debug, Default)]
pub struct Results {
    /// Whether it is being filled.
    pub filling: bool,
    /// What was trimmed when it was.
    pub of: Vec<Node>,
    /// Its rows as far as they are there.
    pub rows: Vec<TableRow>,
    /// What the model itself writes.
    pub pronouns: Option<PronounReport>,
    /// Why it was not filled.
    pub failure: Option<Error>,
}

impl Results {
    /// Whether a row's numbers depend on what is trimmed.
    pub fn depends(kind: RowKind) -> bool {
        !matches!(
            kind,
            RowKind::Original
                | RowKind::ConceptBottleneck
                | RowKind::Oracle
                | RowKind::WordsDeleted
        )
    }
}

impl ShiftState {
    /// The rows that hold for what is judged now: of the table those that are not older than the
    /// last judgement, and what was measured as one judged.
    pub fn table(&self) -> Table {
        let trimmed = self.judged.now.trimmed();
        let same = self.results.of == trimmed;
        let holds = |row: &&TableRow| same || !Results::depends(row.kind);
        let mut rows: Vec<TableRow> = self.results.rows.iter().filter(holds).cloned().collect();
        let mut put = |kind: RowKind, made: &str, accuracies: Option<Accuracies>| {
            if accuracies.is_some() && rows.iter().all(|row| row.kind != kind) {
                rows.push(TableRow {
                    kind,
                    made: made.to_owned(),
                    trimmed: if kind == RowKind::Original { 0 } else { trimmed.len() },
                    accuracies,
                    missing: None,
                    train_accuracy: None,
                    words: Vec::new(),
                });
            }
        };
        let live = self.live.last.as_ref();
        let whole = |live: &&Live| {
            self.trained.as_ref().is_some_and(|t| t.original.texts == live.trimmed.texts)
        };
        let live = live.filter(|live| live.asked == (self.version, trimmed.clone()));
        let live = live.filter(whole);
        put(RowKind::Original, made::ORIGINAL, self.trained.as_ref().map(|t| t.original));
        put(RowKind::Shift, made::SHIFT, live.map(|live| live.trimmed));
        put(RowKind::ShiftRetrained, made::RETRAINED, live.and_then(|live| live.retrained));
        rows.sort_by_key(|row| row.kind);
        Table { rows, definition: ACCURACY_DEFINITION.to_owned() }
    }

    /// The strongest features of the circuit, `count` of them at most: those to be judged.
    pub fn to_judge(&self, count: usize) -> Vec<&CircuitNode> {
        let nodes = self.found.iter().flat_map(|found| &found.circuit.nodes);
        nodes.filter(|node| is_feature(node)).take(count).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(text: &str) -> Node {
        text.parse().unwrap()
    }

    #[test]
    fn a_judgement_is_taken_back_and_given_again_with_its_note() {
        let mut judged = Judged::default();
        let (a, b) = (node("resid.1/3"), node("mlp.0/5"));
        judged.judge(a, Some(Verdict::Trim));
        judged.note(a, "she".into());
        judged.judge(b, Some(Verdict::Keep));
        // The same again is no step.
        judged.judge(b, Some(Verdict::Keep));
        judged.judge(a, Some(Verdict::Keep));
        assert_eq!(judged.now.all[&a].note, "she");
        assert!(judged.now.trimmed().is_empty());
        assert!(judged.undo());
        assert_eq!(judged.now.trimmed(), [a]);
        assert!(judged.undo() && judged.undo());
        assert_eq!((judged.now.all[&a].note.as_str(), judged.now.all.len()), ("", 1));
        assert!(judged.redo() && judged.redo() && judged.redo() && !judged.redo());
        assert_eq!(judged.now.verdict(&a), Some(Verdict::Keep));
        assert!(judged.undo());
        judged.judge(b, None);
        assert_eq!(judged.ways(), (true, false));
        assert_eq!(judged.now.trimmed(), [a]);
    }
}
