//! Finding latents by the words of their labels and of the contexts they fire in.

use super::contexts::{ROWS, open_any};
use crate::error::Result;
use crate::workspace::{Label, LabelSource, SaeId, Workspace};
use rusqlite::{Connection, params};
use std::collections::HashMap;
use std::ops::Range;
use std::time::{Duration, Instant};

/// Rows of an index looked at for one query; a word in more contexts than that says little.
const SCANNED: i64 = 2000;

/// Bytes of a snippet, about.
const SNIPPET: usize = 110;

/// What the marks of a match are made of inside SQLite; neither survives in a token's text.
const OPEN: char = '\u{2}';
const CLOSE: char = '\u{3}';

/// What is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Words as they were typed, each the beginning of one that is looked for; between double
    /// quotes, words in this order. Case, accents and punctuation do not matter.
    pub text: String,
    /// The dictionary to look in; `None` for all.
    pub sae: Option<SaeId>,
    /// Hits to return at most.
    pub limit: usize,
}

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// At most one hit a latent: labels first, the best match first.
    pub hits: Vec<Hit>,
    /// Whether there may be more.
    pub more: bool,
    /// Dictionaries whose features were collected and whose contexts are not indexed yet: only
    /// their labels were searched.
    pub unindexed: Vec<SaeId>,
    /// How long it took.
    pub took: Duration,
}

/// A latent that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// The dictionary.
    pub sae: SaeId,
    /// The latent.
    pub latent: u32,
    /// Its label, if it has one.
    pub label: Option<Label>,
    /// Where the words were found.
    pub at: Where,
    /// The text around them.
    pub snippet: Snippet,
}

impl Hit {
    /// How good the label is, and what that number is: F1 against the truth, or the balanced
    /// accuracy of detection.
    pub fn score(&self) -> Option<(f64, &'static str)> {
        score_of(self.label.as_ref()?)
    }
}

/// Where words were found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Where {
    /// In the label.
    Label,
    /// In its contexts, and so many of them are strongest right there.
    Peak(u32),
    /// In so many of its contexts, elsewhere than where it is strongest.
    Context(u32),
}

/// A piece of text with the matches in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snippet {
    /// The text.
    pub text: String,
    /// Byte ranges of it that match.
    pub marked: Vec<Range<usize>>,
}

/// Finds latents by words of their labels and contexts.
///
/// # Errors
/// The workspace cannot be read.
pub fn search(workspace: &Workspace, query: &Query) -> Result<Found> {
    let started = Instant::now();
    let mut found =
        Found { hits: Vec::new(), more: false, unindexed: Vec::new(), took: Duration::ZERO };
    if let Some(words) = expression(&query.text) {
        for (label, marked) in
            workspace.find_labels(&words, query.sae, query.limit + 1, [OPEN, CLOSE])?
        {
            let snippet = Snippet::of(&marked);
            let (sae, latent) = (label.sae, label.latent);
            found.hits.push(Hit { sae, latent, label: Some(label), at: Where::Label, snippet });
        }
        for (sae, dir) in workspace.searchable(query.sae)? {
            let index = open_any(&dir);
            // An index that went bad is as good as none: it is made anew.
            let Some(hits) = index.and_then(|i| in_contexts(&i, sae, &words, query.limit + 1).ok())
            else {
                found.unindexed.push(sae);
                continue;
            };
            for mut hit in hits {
                if !found.hits.iter().any(|h| (h.sae, h.latent) == (sae, hit.latent)) {
                    hit.label = workspace.label(sae, hit.latent)?;
                    found.hits.push(hit);
                }
            }
        }
        // Stable: within a kind the order stays that of the index.
        found.hits.sort_by_key(|hit| match hit.at {
            Where::Label => (0, 0),
            Where::Peak(n) => (1, u32::MAX - n),
            Where::Context(n) => (2, u32::MAX - n),
        });
    }
    found.more = found.hits.len() > query.limit;
    found.hits.truncate(query.limit);
    found.took = started.elapsed();
    Ok(found)
}

/// Latents of one index, those first in whose strongest contexts the words are the strongest.
fn in_contexts(
    index: &Connection,
    sae: SaeId,
    words: &str,
    limit: usize,
) -> rusqlite::Result<Vec<Hit>> {
    /// What is known of a latent that was found.
    struct Seen {
        count: u32,
        first: i64,
    }
    let mut sql = index.prepare("SELECT rowid FROM contexts WHERE contexts MATCH ?1 LIMIT ?2")?;
    let mut hits: Vec<(u32, i64, Where)> = Vec::new();
    for at_peak in [true, false] {
        let words = if at_peak { format!("{{peak}} : ({words})") } else { words.to_owned() };
        let mut seen: HashMap<u32, Seen> = HashMap::new();
        for row in sql.query_map(params![words, SCANNED], |row| row.get::<_, i64>(0))? {
            let row = row?;
            let latent = u32::try_from(row / ROWS).unwrap_or(u32::MAX);
            seen.entry(latent).or_insert(Seen { count: 0, first: row }).count += 1;
        }
        let mut seen: Vec<(u32, Seen)> =
            seen.into_iter().filter(|(latent, _)| !hits.iter().any(|h| h.0 == *latent)).collect();
        seen.sort_unstable_by_key(|(latent, seen)| (u32::MAX - seen.count, *latent));
        seen.truncate(limit - hits.len());
        let kind = if at_peak { Where::Peak } else { Where::Context };
        hits.extend(seen.into_iter().map(|(latent, s)| (latent, s.first, kind(s.count))));
        if hits.len() >= limit {
            break;
        }
    }
    // Marked in one more pass over the matches: one for each hit would look them all up anew.
    let mut sql = index.prepare(
        "SELECT rowid, highlight(contexts, 1, ?3, ?4) FROM contexts
         WHERE contexts MATCH ?1 AND +rowid IN (SELECT value FROM json_each(?2)) LIMIT ?5",
    )?;
    let rows: Vec<i64> = hits.iter().map(|hit| hit.1).collect();
    let list = format!("{rows:?}");
    let marks = (OPEN.to_string(), CLOSE.to_string());
    let marked = sql
        .query_map(params![words, list, marks.0, marks.1, rows.len() as i64], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
        })?;
    let marked: HashMap<i64, String> = marked.collect::<rusqlite::Result<_>>()?;
    let hit = |(latent, row, at): (u32, i64, Where)| {
        let snippet = marked.get(&row).map(|text| Snippet::of(text)).unwrap_or_default();
        Hit { sae, latent, label: None, at, snippet }
    };
    Ok(hits.into_iter().map(hit).collect())
}

/// The words of `text` in FTS5's language: every piece is quoted, so that nothing of it is taken
/// for an operator. `None` if it has no word.
fn expression(text: &str) -> Option<String> {
    let mut out = String::new();
    for (i, piece) in text.split('"').enumerate() {
        let phrases: Vec<&str> =
            if i % 2 == 1 { vec![piece] } else { piece.split_whitespace().collect() };
        for phrase in phrases.into_iter().filter(|p| p.contains(char::is_alphanumeric)) {
            if !out.is_empty() {
                out.push_str(" AND ");
            }
            let clean: String =
                phrase.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            out += &format!("\"{clean}\"");
            // A single letter begins half of all words.
            if clean.chars().filter(|c| c.is_alphanumeric()).count() > 1 {
                out.push('*');
            }
        }
    }
    (!out.is_empty()).then_some(out)
}

impl Snippet {
    /// Of a text in which matches stand between [`OPEN`] and [`CLOSE`]: the part around the first.
    fn of(marked: &str) -> Self {
        let mut text = String::with_capacity(marked.len());
        let mut ranges = Vec::new();
        let mut start = None;
        for c in marked.chars() {
            match c {
                OPEN => start = Some(text.len()),
                CLOSE => ranges.extend(start.take().map(|s| s..text.len())),
                c if c.is_control() => text.push(' '),
                c => text.push(c),
            }
        }
        Self { text, marked: ranges }.around()
    }

    /// Cut to about [`SNIPPET`] bytes around the first match, at the ends of words where it can.
    fn around(self) -> Self {
        let first = self.marked.first().cloned().unwrap_or(0..0);
        let mut from = first.start.saturating_sub(SNIPPET / 3);
        if from > 0 {
            from = self.text.floor_char_boundary(from);
            let word = self.text[from..first.start].find(' ').map(|i| from + i + 1);
            from = word.unwrap_or(from);
        }
        let mut to = (from + SNIPPET).max(first.end).min(self.text.len());
        if to < self.text.len() {
            to = self.text.ceil_char_boundary(to);
            let word = self.text[first.end..to].rfind(' ').map(|i| first.end + i);
            to = word.unwrap_or(to);
        }
        let body = &self.text[from..to];
        let trimmed = body.trim_start();
        let shift = from + (body.len() - trimmed.len());
        let head = if from > 0 { "…" } else { "" };
        let tail = if to < self.text.len() { "…" } else { "" };
        let text = format!("{head}{}{tail}", trimmed.trim_end());
        let end = text.len() - tail.len();
        let marked = self.marked.into_iter().filter_map(|r| {
            let start = (r.start.checked_sub(shift)? + head.len()).min(end);
            let stop = (r.end.checked_sub(shift)? + head.len()).min(end);
            (start < stop).then_some(start..stop)
        });
        Self { marked: marked.collect(), text }
    }
}

/// A number by which labels can be compared, and what it is.
pub fn score_of(label: &Label) -> Option<(f64, &'static str)> {
    if let LabelSource::Truth { f1, .. } = label.source {
        return Some((f1, "F1"));
    }
    let detection = label.scores.as_ref()?.detection?;
    Some((detection.balanced_accuracy()?, "balanced accuracy"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_never_an_operator() {
        let of = |text| expression(text).unwrap_or_default();
        assert_eq!(of("gender"), "\"gender\"*");
        assert_eq!(of("  she  a "), "\"she\"* AND \"a\"");
        assert_eq!(of("\"the key\" to"), "\"the key\"* AND \"to\"*");
        assert_eq!(
            of("a OR (b* NOT c:d)"),
            "\"a\" AND \"OR\"* AND \"(b*\" AND \"NOT\"* AND \"c:d)\"*"
        );
        assert_eq!(of("\"open"), "\"open\"*");
        assert_eq!(of("!!! \" \" -"), "");
    }

    #[test]
    fn a_snippet_is_the_text_around_the_first_match() {
        let s = Snippet::of("the \u{2}key\u{3} to");
        assert_eq!((s.text.as_str(), s.marked.first()), ("the key to", Some(&(4..7))));
        let long = format!("{}the \u{2}kéy\u{3} to\n{}", "word ".repeat(40), "wörd ".repeat(60));
        let s = Snippet::of(&long);
        assert!(s.text.len() < SNIPPET + 12, "{}", s.text.len());
        assert_eq!(&s.text[s.marked[0].clone()], "kéy");
        assert!(s.text.starts_with("…word") && s.text.ends_with("wörd…"), "{}", s.text);
        let unbroken = format!("{}\u{2}é\u{3}{}", "é".repeat(300), "é".repeat(300));
        let s = Snippet::of(&unbroken);
        assert_eq!(&s.text[s.marked[0].clone()], "é");
        assert_eq!(Snippet::of(""), Snippet::default());
    }
}
