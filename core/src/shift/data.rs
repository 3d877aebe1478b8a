//! Texts with their two labels.

use super::table_file::read_table;
use super::{Pairing, Source};
use crate::error::{Error, Result};
use crate::jobs::JobContext;
use crate::world::{Gender, LEXICON, Split as WorldSplit, Writer};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Names of the two genders of the built-in world.
pub(super) const GENDERS: [&str; 2] = ["feminine", "masculine"];
/// Documents between two looks at the cancel flag.
const LOOK: usize = 256;
/// Values of a column named in an error.
const NAMED: usize = 8;

/// A text with its two labels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// The text.
    pub text: String,
    /// Its label, a place in [`Data::labels`].
    pub label: usize,
    /// Its spurious value, a place in [`Data::spurious`].
    pub spurious: usize,
}

/// Texts with a label and a spurious value, two of each.
///
/// Label `i` is paired with spurious value `i`: where the two agree, a probe cannot know which of
/// them it is asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Data {
    /// What the label is called: "profession".
    pub label_name: String,
    /// The two labels.
    pub labels: [String; 2],
    /// What the spurious value is called: "gender".
    pub spurious_name: String,
    /// The two spurious values, in the order of the labels they are paired with.
    pub spurious: [String; 2],
    /// How the pairing was come by, in a sentence.
    pub pairing: String,
    /// The texts, no two alike.
    pub items: Vec<Item>,
    /// Rows that are not used, by reason.
    pub left_out: BTreeMap<String, usize>,
}

impl Data {
    /// How many texts each group has, `[label][spurious]`.
    pub fn groups(&self) -> [[usize; 2]; 2] {
        let mut groups = [[0; 2]; 2];
        self.items.iter().for_each(|item| groups[item.label][item.spurious] += 1);
        groups
    }

    /// What a group is called: "nurse, masculine".
    pub fn group_name(&self, label: usize, spurious: usize) -> String {
        format!("{}, {}", self.labels[label & 1], self.spurious[spurious & 1])
    }
}

/// Reads the texts of `source`.
///
/// # Errors
/// A file that cannot be read or is no table of these columns; a column with fewer or more values
/// than two; a label without texts; a profession that the built-in world does not have.
pub fn read<E>(ctx: &JobContext<E>, source: &Source, pairing: &Pairing) -> Result<Data> {
    source.validate()?;
    let data = match source {
        Source::World { labels, texts, seed } => world(ctx, labels, *texts, *seed)?,
        Source::File { path, columns, labels, spurious } => {
            ctx.progress().stage("Reading texts", "rows", 0, 0);
            let rows = read_table(path, columns, &|| ctx.check())?;
            from_rows(rows, columns, labels.as_ref(), spurious.as_ref())?
        }
    };
    let data = paired(data, pairing)?;
    for label in 0..2 {
        if data.items.iter().all(|item| item.label != label) {
            return Err(Error::setting(
                "The texts cannot be used",
                format!("none has the {} {:?}", data.label_name, data.labels[label]),
                "Choose two labels that there are texts of",
            ));
        }
    }
    Ok(data)
}

/// A row of a table: text, label, spurious value.
pub(super) type Row = [String; 3];

/// Data without its pairing: spurious values as they were found.
fn world<E>(ctx: &JobContext<E>, labels: &[String; 2], texts: usize, seed: u64) -> Result<Data> {
    let mut stereotype = None;
    for label in labels {
        let Some(found) = LEXICON.professions.iter().find(|p| p.name == label) else {
            let names: Vec<&str> = LEXICON.professions.iter().map(|p| p.name).collect();
            return Err(Error::setting(
                format!("The built-in world has no profession {label:?}"),
                format!("it has {}", names.join(", ")),
                "Choose two of these",
            ));
        };
        stereotype = stereotype.or(found.stereotype);
    }
    let mut spurious = GENDERS.map(str::to_owned);
    if stereotype == Some(Gender::Masculine) {
        spurious.reverse();
    }
    ctx.progress().stage("Writing texts", "texts", 0, texts as u64);
    let mut data = Data {
        label_name: "profession".into(),
        labels: labels.clone(),
        spurious_name: "gender".into(),
        spurious,
        pairing: "the built-in world's own stereotype of the first profession".into(),
        items: Vec::with_capacity(texts),
        left_out: BTreeMap::new(),
    };
    let mut known = BTreeSet::new();
    // Rare professions come once in some thirty documents; a writer that repeats itself ends.
    let most = texts.saturating_mul(200).saturating_add(10_000);
    for (i, document) in Writer::new(seed, WorldSplit::Balanced).take(most).enumerate() {
        if data.items.len() == texts {
            break;
        }
        if i % LOOK == 0 {
            ctx.check()?;
            ctx.progress().set(data.items.len() as u64);
        }
        let Some(person) = &document.truth.person else { continue };
        let Some(label) = labels.iter().position(|l| *l == person.profession) else { continue };
        let gender = GENDERS[usize::from(person.gender == Gender::Masculine)];
        let spurious = usize::from(data.spurious[1] == gender);
        if known.insert(document.text.clone()) {
            data.items.push(Item { text: document.text, label, spurious });
        } else {
            *data.left_out.entry("the same text again".into()).or_default() += 1;
        }
    }
    Ok(data)
}

fn from_rows(
    rows: Vec<Row>,
    columns: &super::Columns,
    labels: Option<&[String; 2]>,
    spurious: Option<&[String; 2]>,
) -> Result<Data> {
    let labels = two(&rows, 1, &columns.label, labels, "--labels A,B")?;
    let of_labels: Vec<Row> = rows.iter().filter(|row| labels.contains(&row[1])).cloned().collect();
    let spurious = two(&of_labels, 2, &columns.spurious, spurious, "--spurious A,B")?;
    let mut data = Data {
        label_name: columns.label.clone(),
        labels,
        spurious_name: columns.spurious.clone(),
        spurious,
        pairing: String::new(),
        items: Vec::new(),
        left_out: BTreeMap::new(),
    };
    let mut known: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for [text, label, spurious] in rows {
        let place = |values: &[String; 2], value: &str| values.iter().position(|v| v == value);
        let why = match (place(&data.labels, &label), place(&data.spurious, &spurious)) {
            _ if text.trim().is_empty() => "no text",
            (None, _) => "another label",
            (_, None) => "another spurious value",
            (Some(label), Some(spurious)) => match known.get(&text) {
                None => {
                    known.insert(text.clone(), (label, spurious));
                    data.items.push(Item { text, label, spurious });
                    continue;
                }
                Some(same) if *same == (label, spurious) => "the same text again",
                Some(_) => "the same text again, with other labels",
            },
        };
        *data.left_out.entry(why.into()).or_default() += 1;
    }
    Ok(data)
}

/// The two values of a column: those asked for, or all that there are.
fn two(
    rows: &[Row],
    column: usize,
    name: &str,
    asked: Option<&[String; 2]>,
    option: &str,
) -> Result<[String; 2]> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for row in rows.iter().filter(|row| !row[0].trim().is_empty()) {
        *counts.entry(row[column].as_str()).or_default() += 1;
    }
    let listed = || {
        let mut all: Vec<_> = counts.iter().collect();
        all.sort_by_key(|(value, n)| (std::cmp::Reverse(**n), **value));
        let mut said: Vec<String> =
            all.iter().take(NAMED).map(|(value, n)| format!("{value:?} ({n})")).collect();
        if all.len() > NAMED {
            said.push(format!("and {} more", all.len() - NAMED));
        }
        said.join(", ")
    };
    if let Some(asked) = asked {
        return match asked.iter().find(|value| !counts.contains_key(value.as_str())) {
            None => Ok(asked.clone()),
            Some(missing) => Err(Error::setting(
                format!("No text has the value {missing:?} in the column {name:?}"),
                format!("its values are {}", listed()),
                format!("Choose two of these ({option})"),
            )),
        };
    }
    let values: Vec<String> = counts.keys().map(|v| (*v).to_owned()).collect();
    <[String; 2]>::try_from(values).map_err(|values| {
        let (why, remedy) = match values.len() {
            0 => ("it has no rows with a text".to_owned(), "Choose another file".to_owned()),
            1 => (
                format!("all its rows have {}: there is nothing to tell apart", listed()),
                "Choose another column, or add texts of another class".to_owned(),
            ),
            _ => (format!("its values are {}", listed()), format!("Choose two ({option})")),
        };
        Error::setting(format!("The column {name:?} does not have two values"), why, remedy)
    })
}

/// Brings the spurious values into the order of the labels they are paired with.
fn paired(mut data: Data, pairing: &Pairing) -> Result<Data> {
    let turn = match pairing {
        Pairing::FirstWith(value) => {
            let Some(place) = data.spurious.iter().position(|s| s == value) else {
                return Err(Error::setting(
                    format!("The first label cannot be paired with {value:?}"),
                    format!(
                        "the spurious values are {:?} and {:?}",
                        data.spurious[0], data.spurious[1]
                    ),
                    "Choose one of these",
                ));
            };
            data.pairing = "given".into();
            place == 1
        }
        Pairing::Usual if !data.pairing.is_empty() => false,
        Pairing::Usual => {
            let [[a, b], [c, d]] = data.groups();
            data.pairing = format!(
                "the way that more texts have: {} of {}",
                (a + d).max(b + c),
                data.items.len()
            );
            b + c > a + d
        }
    };
    if turn {
        data.spurious.reverse();
        data.items.iter_mut().for_each(|item| item.spurious = 1 - item.spurious);
    }
    Ok(data)
}

#[cfg(test)]
#[path = "tests/data.rs"]
mod tests;
