//! Labels from files: Neuronpedia's explanations (JSON, JSON lines), the annotations of
//! feature-circuits (JSON lines), tables (CSV), or an object of latents and labels.

use super::table::records;
use crate::error::{Error, IoContext as _, Result};
use crate::llama::Site;
use crate::workspace::{LabelSource, NewLabel, SaeId, Workspace};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;
use std::fs;
use std::path::Path;

/// A file of labels is not as large as this.
const LARGEST: u64 = 1 << 30;
/// Fields that hold the label, the best first.
const TEXT: [&str; 6] = ["description", "annotation", "explanation", "label", "text", "name"];
/// Fields that hold the latent.
const INDEX: [&str; 5] = ["index", "latent", "feature", "feature_index", "neuron"];
/// Fields that say which dictionary is meant.
const SOURCE: [&str; 4] = ["layer", "source", "sae", "saeid"];

/// The labels of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LabelFile {
    /// The labels by latent; of several for one latent the first.
    pub labels: BTreeMap<u32, String>,
    /// Entries of other dictionaries.
    pub elsewhere: usize,
    /// Entries without a text.
    pub empty: usize,
    /// Entries for a latent that had one already.
    pub repeated: usize,
}

/// An entry, whatever its form was.
struct Entry {
    latent: u32,
    text: String,
    source: Option<String>,
}

/// Reads labels for a dictionary of `latents` latents at `site`. Where a file speaks of several
/// dictionaries, `source` names the one that is meant (Neuronpedia's `layer`: `6-res-jb`);
/// components of feature-circuits are told apart by their site.
///
/// # Errors
/// No file of labels; several dictionaries and none named; a latent that the dictionary does not
/// have, since then the labels are another's.
pub fn read_labels(
    path: &Path,
    latents: usize,
    site: Option<Site>,
    source: Option<&str>,
) -> Result<LabelFile> {
    let what = || format!("Could not read {}", path.display());
    if fs::metadata(path).doing(what)?.len() > LARGEST {
        return Err(unreadable(path, "it is larger than any file of labels"));
    }
    let bytes = fs::read(path).doing(what)?;
    let text = String::from_utf8(bytes).map_err(|_| unreadable(path, "it is no UTF-8 text"))?;
    let mut out = LabelFile::default();
    let mut entries = Vec::new();
    for (number, row) in rows(path, &text)?.into_iter().enumerate() {
        match entry(&row) {
            Some(entry) if entry.text.trim().is_empty() => out.empty += 1,
            Some(entry) => entries.push(entry),
            None => {
                let why = format!("its entry {} does not name a latent", number + 1);
                return Err(unreadable(path, &why));
            }
        }
    }
    let mut sources: Vec<String> = entries.iter().filter_map(|e| e.source.clone()).collect();
    sources.sort_unstable();
    sources.dedup();
    let of_site = site.map(|site| site.to_string().replace('.', "_"));
    let wanted = match source {
        Some(source) => Some(source.to_owned()),
        None if sources.len() > 1 => {
            Some(of_site.filter(|s| sources.contains(s)).ok_or_else(|| several(path, &sources))?)
        }
        None => None,
    };
    for Entry { latent, text, source } in entries {
        if wanted.is_some() && source.is_some() && source != wanted {
            out.elsewhere += 1;
        } else if latent as usize >= latents {
            return Err(Error::setting(
                format!("The labels in {} are not this dictionary's", path.display()),
                format!("one is for latent {latent}, and the dictionary has {latents}"),
                "Choose the dictionary that they were made for",
            ));
        } else {
            match out.labels.entry(latent) {
                Slot::Occupied(_) => out.repeated += 1,
                Slot::Vacant(slot) => _ = slot.insert(text.trim().to_owned()),
            }
        }
    }
    if out.labels.is_empty() {
        let known = if sources.is_empty() { "none".to_owned() } else { sources.join(", ") };
        return Err(unreadable(
            path,
            &format!("it has no labels of this dictionary; those it speaks of: {known}"),
        ));
    }
    Ok(out)
}

/// Reads labels as [`read_labels`] does and keeps them in the workspace, beside what a person
/// wrote there.
///
/// # Errors
/// As [`read_labels`]; there is no such dictionary; the workspace cannot be written.
pub fn import_labels(
    workspace: &mut Workspace,
    sae: SaeId,
    path: &Path,
    source: Option<&str>,
) -> Result<LabelFile> {
    let record = workspace.sae(sae)?;
    let file = read_labels(path, record.latents, Some(record.site), source)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let label = |(latent, text): (&u32, &String)| NewLabel {
        latent: *latent,
        text: text.clone(),
        source: LabelSource::Import { file: name.clone() },
        scores: None,
    };
    let labels: Vec<NewLabel> = file.labels.iter().map(label).collect();
    workspace.add_labels(sae, &labels)?;
    Ok(file)
}

/// The entries of a file, their fields by their names in lower case.
fn rows(path: &Path, text: &str) -> Result<Vec<Map<String, Value>>> {
    let begins = text.trim_start_matches(['\u{feff}', ' ', '\n', '\r', '\t']);
    let json = |e: serde_json::Error| unreadable(path, &format!("it is no JSON ({e})"));
    if begins.starts_with('[') {
        let all: Vec<Map<String, Value>> = serde_json::from_str(begins).map_err(json)?;
        return Ok(all.into_iter().map(lower).collect());
    }
    if begins.starts_with('{') {
        // One object: of latents and labels, of a list of explanations, or a line's only entry.
        if let Ok(mut object) = serde_json::from_str::<Map<String, Value>>(begins) {
            if let Some(Value::Array(all)) = object.remove("explanations") {
                let objects = all.into_iter().filter_map(|v| match v {
                    Value::Object(object) => Some(lower(object)),
                    _ => None,
                });
                return Ok(objects.collect());
            }
            if !object.is_empty() && object.keys().all(|k| k.parse::<u32>().is_ok()) {
                let row = |(k, v)| {
                    Map::from_iter([
                        ("index".to_owned(), Value::String(k)),
                        ("label".to_owned(), v),
                    ])
                };
                return Ok(object.into_iter().map(row).collect());
            }
            return Ok(vec![lower(object)]);
        }
        let lines = begins.lines().filter(|l| !l.trim().is_empty()).enumerate();
        return lines
            .map(|(i, line)| {
                serde_json::from_str(line)
                    .map(lower)
                    .map_err(|e| unreadable(path, &format!("its line {} is no JSON ({e})", i + 1)))
            })
            .collect();
    }
    let mut all = records(text).into_iter();
    let head: Vec<String> = all.next().unwrap_or_default();
    let head: Vec<String> = head.iter().map(|h| h.trim().to_lowercase()).collect();
    if !head.iter().any(|h| INDEX.contains(&h.as_str())) {
        return Err(unreadable(
            path,
            "it is neither JSON nor a table whose first line names its columns (index, description)",
        ));
    }
    let row = |fields: Vec<String>| {
        head.iter().cloned().zip(fields.into_iter().map(Value::String)).collect()
    };
    Ok(all.map(row).collect())
}

fn lower(object: Map<String, Value>) -> Map<String, Value> {
    object.into_iter().map(|(k, v)| (k.to_lowercase(), v)).collect()
}

/// What an entry says; `None` if it does not name a latent.
fn entry(row: &Map<String, Value>) -> Option<Entry> {
    let number = |v: &Value| match v {
        Value::Number(n) => n.as_u64().and_then(|n| u32::try_from(n).ok()),
        Value::String(s) => s.trim().parse().ok(),
        _ => None,
    };
    let latent = INDEX.iter().find_map(|name| row.get(*name).and_then(number))?;
    let circuits = row.contains_key("annotation");
    let text = TEXT.iter().find_map(|name| row.get(*name).and_then(Value::as_str)).unwrap_or("");
    let source = if circuits {
        // "resid_5/3036"; or component and layer.
        let name = row.get("name").and_then(Value::as_str).and_then(|n| n.split_once('/'));
        let parts = || {
            let component = row.get("component")?.as_str()?;
            Some(match row.get("layer").and_then(number) {
                Some(layer) if component != "embed" => format!("{component}_{layer}"),
                _ => component.to_owned(),
            })
        };
        name.map(|(component, _)| component.to_owned()).or_else(parts)
    } else {
        SOURCE.iter().find_map(|name| match row.get(*name)? {
            Value::String(s) => Some(s.clone()),
            Value::Number(n) => Some(n.to_string()),
            _ => None,
        })
    };
    Some(Entry { latent, text: text.to_owned(), source })
}

fn several(path: &Path, sources: &[String]) -> Error {
    let shown: Vec<&str> = sources.iter().take(8).map(String::as_str).collect();
    let more = if sources.len() > 8 { ", …" } else { "" };
    Error::setting(
        format!("{} has labels of several dictionaries", path.display()),
        format!("it speaks of {}{more}", shown.join(", ")),
        "Say which is meant (--source)",
    )
}

fn unreadable(path: &Path, why: &str) -> Error {
    Error::format(
        format!("{} cannot be used as a file of labels", path.display()),
        why,
        "Use Neuronpedia's explanations, annotations of feature-circuits, or a table of latents \
         and labels",
    )
}
