//! Tasks of the built-in world, for its model.

use super::embedded;
use crate::circuits::{Answers, Pair, Task};
use crate::error::{Error, Result};
use crate::world::{AgreementKind, Split, contrasts};

/// The kinds of agreement by name.
const KINDS: [(&str, AgreementKind); 4] = [
    ("simple", AgreementKind::Simple),
    ("across-pp", AgreementKind::AcrossPrepositional),
    ("across-rc", AgreementKind::AcrossRelative),
    ("within-rc", AgreementKind::WithinRelative),
];
/// Tokens of a noun, in either number: those of most nouns, so that all openings have one length.
const NOUN_TOKENS: usize = 2;

impl Task {
    /// Names of the tasks that [`Task::world`] writes.
    pub fn world_names() -> impl Iterator<Item = &'static str> {
        KINDS.into_iter().map(|(name, _)| name)
    }

    /// `pairs` pairs of the built-in world, seeded: `simple` ("The pilots" → are), `across-pp`
    /// ("The pilots near the car" → are), `across-rc` ("The pilots that the driver sees" → are)
    /// or `within-rc` ("The pilots that the driver" → sees; the patch changes the driver). All
    /// prompts of a task have the same number of the built-in model's tokens, and both numbers of
    /// every noun are equally frequent.
    ///
    /// Its pairs of nouns are ones that the built-in model's training never wrote in this
    /// relation; with `:train` behind the name, ones that it did.
    ///
    /// # Errors
    /// No such name; the world has fewer different pairs.
    pub fn world(name: &str, pairs: usize, seed: u64) -> Result<Self> {
        let (kind, split) = match name.split_once(':') {
            Some((kind, split)) => (kind, split.parse()?),
            None => (name, Split::Heldout),
        };
        let Some((_, kind)) = KINDS.into_iter().find(|(known, _)| *known == kind) else {
            let names: Vec<&str> = Self::world_names().collect();
            return Err(Error::setting(
                format!("The built-in world has no task called {name:?}"),
                format!("its tasks are {}", names.join(", ")),
                "Choose one of these",
            ));
        };
        let tokenizer = embedded::tokenizer()?;
        let tokens = |word: &str| tokenizer.encode(word, false).map_or(0, |ids| ids.len());
        let nouns: std::collections::BTreeSet<&str> =
            crate::world::LEXICON.nouns().map(|noun| noun.one.as_str()).collect();
        let fits = |one: &str, many: &str| {
            let due = if nouns.contains(one) { NOUN_TOKENS } else { 1 };
            tokens(one) == due && tokens(many) == due
        };
        let pairs = contrasts(kind, split, pairs, seed, &fits)?
            .into_iter()
            .map(|contrast| Pair {
                clean_prefix: contrast.clean,
                patch_prefix: Some(contrast.patch),
                clean_answer: Answers::One(contrast.right),
                patch_answer: Some(Answers::One(contrast.wrong)),
                case: contrast.case.to_owned(),
            })
            .collect();
        Ok(Self { name: format!("world:{name}"), pairs })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::circuits::{Change, Examples, Metric};
    use crate::llama::{Logits, Plan, Tokens};
    use std::collections::BTreeMap;

    /// Share of pairs of which the model prefers the right verb after both prompts.
    fn paired_accuracy(examples: &Examples) -> f64 {
        let model = crate::demo::model(&candle_core::Device::Cpu).unwrap();
        let vocab = model.config().vocab;
        let logits = |rows: Vec<&[u32]>| {
            let plan = Plan { logits: Logits::Last, ..Plan::default() };
            let pass = model.forward(&Tokens::rows(&rows).unwrap(), &plan).unwrap();
            pass.logits.unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap()
        };
        let clean = logits(examples.kept.iter().map(|e| e.clean.as_slice()).collect());
        let patch = logits(examples.kept.iter().filter_map(|e| e.patch.as_deref()).collect());
        let right = examples.kept.iter().enumerate().filter(|(i, e)| {
            let margin = |logits: &[f32]| {
                logits[i * vocab + e.right[0] as usize] - logits[i * vocab + e.wrong[0] as usize]
            };
            margin(&clean) > 0.0 && margin(&patch) < 0.0
        });
        right.count() as f64 / examples.kept.len() as f64
    }

    #[test]
    fn the_built_in_model_knows_the_tasks_of_its_world() {
        let model = crate::demo::model(&candle_core::Device::Cpu).unwrap();
        for (name, length) in [
            ("simple", 4),
            ("across-pp", 8),
            ("across-rc", 9),
            ("within-rc", 8),
            ("across-rc:train", 9),
        ] {
            let task = Task::world(name, 120, 5).unwrap();
            let metric = Metric::LogitDifference;
            let examples = Examples::prepare(&model, &task, &metric, Change::Patch).unwrap();
            assert_eq!((examples.kept.len(), examples.counts().len()), (120, 0), "{name}");
            assert!(examples.kept.iter().all(|e| e.positions() == length), "{name}");
            let accuracy = paired_accuracy(&examples);
            println!("{name}: paired accuracy {accuracy:.3}, e.g. {:?}", task.pairs[0]);
            assert!(accuracy >= 0.95, "{name}: {accuracy}");
        }
    }

    #[test]
    fn cases_are_balanced_and_the_seed_decides() {
        for name in Task::world_names() {
            let task = Task::world(name, 80, 1).unwrap();
            assert_eq!(task, Task::world(name, 80, 1).unwrap());
            assert_ne!(task.pairs, Task::world(name, 80, 2).unwrap().pairs);
            let mut cases = BTreeMap::<&str, usize>::new();
            for pair in &task.pairs {
                *cases.entry(&pair.case).or_default() += 1;
                assert_ne!(Some(&pair.clean_prefix), pair.patch_prefix.as_ref());
            }
            let due = if name == "simple" { 2 } else { 4 };
            assert_eq!(cases.len(), due, "{cases:?}");
            assert!(cases.values().all(|n| *n == 80 / due), "{cases:?}");
        }
    }

    #[test]
    fn what_the_world_cannot_write_is_named() {
        assert!(Task::world("across", 1, 0).unwrap_err().to_string().contains("across-pp"));
        assert!(Task::world("simple", 1_000_000, 0).unwrap_err().to_string().contains("fewer"));
        assert!(Task::world("simple:biased", 1, 0).is_err());
        assert!(Task::world("simple:nowhere", 1, 0).is_err());
    }
}
