//! What the writer and the judge of labels are asked.

use super::endpoint::Prompt;
use super::examples::{Split, marks, wrong_marks};
use crate::features::Context;
use rand::SeedableRng as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// Tokens that a writer may answer with.
pub(super) const WRITER_TOKENS: u32 = 300;

/// Bytes of a label that the judge is given at most.
pub(super) const LABEL_BYTES: usize = 600;

/// Tokens of a context named with their activation.
const NAMED: usize = 8;

const WRITER: &str = "You study one unit of a neural network that reads text. You are given passages \
in which the unit is active. Where it is active, the text stands between « and ». Below each passage \
stand the tokens on which it is strongest, each with its activation from 0 (silent) to 10 (its \
greatest). Find what these places have in common: a meaning, a kind of word, a position, something \
the text has said before, or something that is about to follow. Say it as one short and specific \
phrase of at most 20 words, by which somebody could tell in a new text where the unit is active and \
where it is not. Do not mention passages, tokens or activations. Answer with one JSON object and \
nothing else: {\"label\": \"your phrase\"}";

const DETECT: &str = "You judge a description of one unit of a neural network that reads text. You are \
given the description and numbered passages. For each passage, judge from the description alone \
whether the unit is active somewhere in it. Answer with one JSON list and nothing else: for each \
passage, in order, 1 if the unit is active in it and 0 if it is not.";

const FUZZ: &str = "You judge a description of one unit of a neural network that reads text. You are \
given the description and numbered passages in which some text stands between « and ». For each \
passage, judge from the description alone whether the marked text is where the unit is active. \
Answer with one JSON list and nothing else: for each passage, in order, 1 if the right text is \
marked and 0 if the wrong text is marked.";

/// A question to the judge: passages, and what is true of each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Question {
    /// The passages.
    pub passages: Vec<String>,
    /// What the right answer is.
    pub expected: Vec<bool>,
}

/// All that is asked about one latent, as it is kept with a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Material {
    /// The latent.
    pub latent: u32,
    /// The passages the label is written from.
    pub shown: String,
    /// Does it fire in these?
    pub detect: Vec<Question>,
    /// Does it fire on what is marked?
    pub fuzz: Vec<Question>,
}

impl Material {
    /// Of the examples of a latent. Kinds are mixed in every question; the same seed mixes alike.
    pub fn new(latent: u32, split: &Split, per_question: usize, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed ^ u64::from(latent).rotate_left(32));
        let shown = split.shown.iter().enumerate().map(|(i, c)| {
            format!("Passage {}: {}\nStrongest: {}\n", i + 1, marked(c, &marks(c)), strongest(c))
        });
        let shown = shown.collect::<Vec<_>>().join("\n");
        let plain = |c: &Context, truth: bool| (line(&c.tokens.concat()), truth);
        let mut detect: Vec<_> = split.fires.iter().map(|c| plain(c, true)).collect();
        detect.extend(split.silent.iter().map(|c| plain(c, false)));
        // One kind alone says nothing of a label.
        if split.fires.is_empty() || split.silent.is_empty() {
            detect.clear();
        }
        let mut fuzz = Vec::new();
        for (i, context) in split.fires.iter().enumerate() {
            let right = i % 2 == 0;
            let marks = if right { Some(marks(context)) } else { wrong_marks(context, &mut rng) };
            fuzz.extend(marks.map(|marks| (marked(context, &marks), right)));
        }
        if !fuzz.iter().any(|(_, right)| *right) || fuzz.iter().all(|(_, right)| *right) {
            fuzz.clear();
        }
        let mut questions = |mut all: Vec<(String, bool)>| -> Vec<Question> {
            all.shuffle(&mut rng);
            let question = |part: &[(String, bool)]| Question {
                passages: part.iter().map(|(text, _)| text.clone()).collect(),
                expected: part.iter().map(|(_, truth)| *truth).collect(),
            };
            all.chunks(per_question.max(1)).map(question).collect()
        };
        let (detect, fuzz) = (questions(detect), questions(fuzz));
        Self { latent, shown, detect, fuzz }
    }

    /// Asks for a label.
    pub fn write(&self) -> Prompt {
        let user = format!("{}\nAnswer with the JSON object alone.", self.shown);
        Prompt { system: WRITER.into(), user, max_tokens: WRITER_TOKENS }
    }

    /// Asks how well a label tells; `fuzz` chooses the kind of question.
    pub fn judge(&self, fuzz: bool, question: &Question, label: &str) -> Prompt {
        let mut end = label.len().min(LABEL_BYTES);
        while !label.is_char_boundary(end) {
            end -= 1;
        }
        let mut user = format!("Description: {}\n\n", &label[..end]);
        for (i, passage) in question.passages.iter().enumerate() {
            user += &format!("Passage {}: {passage}\n", i + 1);
        }
        let n = question.passages.len();
        user +=
            &format!("\nAnswer with a JSON list of {n} numbers, each 0 or 1, and nothing else.");
        let system = if fuzz { FUZZ } else { DETECT };
        Prompt { system: system.into(), user, max_tokens: 40 + 8 * n as u32 }
    }
}

/// The text of a context with marked tokens between « and »; neighbours share a pair of them, and
/// white space at its ends stays outside.
fn marked(context: &Context, marks: &[bool]) -> String {
    let mut out = String::new();
    let mut open = false;
    for (token, mark) in context.tokens.iter().zip(marks) {
        if *mark && !open {
            let body = token.trim_start();
            out += &token[..token.len() - body.len()];
            out += "«";
            out += body;
        } else {
            if open && !mark {
                close(&mut out);
            }
            out += token;
        }
        open = *mark;
    }
    if open {
        close(&mut out);
    }
    line(&out)
}

fn close(out: &mut String) {
    let end = out.trim_end().len();
    out.insert(end, '»');
}

/// The strongest tokens of a context: `(cat: 10), (dog: 4)`.
fn strongest(context: &Context) -> String {
    let most = context.activations.iter().copied().fold(0.0, f32::max);
    let mut order: Vec<usize> =
        (0..context.tokens.len()).filter(|i| context.activations[*i] > 0.0).collect();
    order
        .sort_by(|a, b| context.activations[*b].total_cmp(&context.activations[*a]).then(a.cmp(b)));
    order.truncate(NAMED);
    let named = order.into_iter().map(|i| {
        let level = (10.0 * context.activations[i] / most).ceil().clamp(0.0, 10.0);
        format!("({}: {level})", line(context.tokens[i].trim()))
    });
    named.collect::<Vec<_>>().join(", ")
}

/// A passage in one line: what follows it is not to be taken for part of it.
fn line(text: &str) -> String {
    text.replace("\r\n", "⏎").replace(['\n', '\r'], "⏎").replace('\t', " ").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::labels::examples::Apart;

    fn context(text: &str, activations: &[f32]) -> Context {
        let tokens = text.split('|').map(str::to_owned).collect();
        Context { tokens, activations: activations.to_vec(), ..Context::default() }
    }

    #[test]
    fn marks_and_strengths_are_written_as_said() {
        let c = context("The| gard|en|er|\n| sings", &[0.0, 4.0, 8.0, 1.0, 0.0, 0.0]);
        assert_eq!(marked(&c, &marks(&c)), "The «garden»er⏎ sings");
        assert_eq!(strongest(&c), "(en: 10), (gard: 5), (er: 2)");
        let after = context("a |b |c", &[0.0, 1.0, 0.0]);
        assert_eq!(marked(&after, &marks(&after)), "a «b» c");
        let end = context("a| b", &[0.0, 1.0]);
        assert_eq!(marked(&end, &marks(&end)), "a «b»");
    }

    #[test]
    fn questions_hold_every_example_once_with_its_truth() {
        let fires: Vec<_> =
            (0..8).map(|i| context(&format!("f{i}| x| y"), &[0.0, 1.0, 0.0])).collect();
        let silent: Vec<_> = (0..7).map(|i| context(&format!("s{i}| x"), &[0.0, 0.0])).collect();
        let split = Split { shown: fires[..1].to_vec(), fires, silent, apart: Apart::Documents };
        let m = Material::new(3, &split, 4, 9);
        assert_eq!(m, Material::new(3, &split, 4, 9));
        let all: Vec<_> =
            m.detect.iter().flat_map(|q| q.passages.iter().zip(&q.expected)).collect();
        assert_eq!((all.len(), m.detect.len()), (15, 4));
        assert!(all.iter().all(|(text, truth)| text.starts_with('f') == **truth));
        let fuzz: Vec<_> = m.fuzz.iter().flat_map(|q| q.passages.iter().zip(&q.expected)).collect();
        assert_eq!(fuzz.len(), 8);
        assert!(fuzz.iter().all(|(text, truth)| text.contains("«x»") == **truth), "{fuzz:?}");
        assert_eq!(fuzz.iter().filter(|(_, truth)| **truth).count(), 4);
        // Nothing that tells the answer stands in the question.
        let prompt = m.judge(true, &m.fuzz[0], "x");
        assert!(prompt.user.contains("Passage 4") && !prompt.user.contains("Strongest"));
        let one_kind = Split { silent: Vec::new(), ..split };
        assert!(Material::new(3, &one_kind, 4, 9).detect.is_empty());
    }
}
