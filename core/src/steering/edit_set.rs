//! Edits under a name, as a file and in the workspace.

use crate::edits::{Dictionaries, Edit};
use crate::error::{Error, ErrorKind, IoContext as _, Result};
use crate::llama::{Model, Site};
use crate::sae::tensors::{put_in_place, write_beside_bytes};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// What a file of edits says of itself.
const FORMAT: &str = "sparsescope edits 1";
/// No file of edits is larger.
const LARGEST: u64 = 16 << 20;

/// Edits under a name, with the model and the dictionaries that they speak of.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct EditSet {
    /// What it is called.
    pub name: String,
    /// Content hash of the model; empty where unknown (plain lines do not say).
    #[serde(default)]
    pub model: String,
    /// Content hash of the dictionary at each site that is edited; a site that is missing here
    /// could be anything.
    #[serde(default)]
    pub dictionaries: BTreeMap<Site, String>,
    /// The edits, in the order in which they are made.
    pub edits: Vec<Edit>,
    /// What a person wrote about it.
    #[serde(default)]
    pub note: String,
}

/// How it lies in a file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    format: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    model: String,
    #[serde(default)]
    dictionaries: BTreeMap<Site, String>,
    edits: Vec<Edit>,
    #[serde(default)]
    note: String,
}

impl EditSet {
    /// `edits` of latents of `dictionaries` of `model`, called `name`.
    pub fn new(
        name: impl Into<String>,
        model: &Model,
        dictionaries: &Dictionaries,
        edits: Vec<Edit>,
    ) -> Self {
        let edited: Vec<Site> = edits.iter().map(|e| e.site).collect();
        let hashes = dictionaries
            .iter()
            .filter(|(site, _)| edited.contains(site))
            .map(|(site, sae)| (*site, sae.hash()));
        Self {
            name: name.into(),
            model: model.hash().to_owned(),
            dictionaries: hashes.collect(),
            edits,
            note: String::new(),
        }
    }

    /// Why these edits mean something else with this model and these dictionaries than what they
    /// were made for, a sentence (without its full stop) for each reason; none if they fit. What
    /// the set does not say cannot be held against it.
    pub fn misfits(&self, model: &Model, dictionaries: &Dictionaries) -> Vec<String> {
        let mut out = Vec::new();
        if !self.model.is_empty() && self.model != model.hash() {
            out.push(format!(
                "it was made for the model {}, and this one is {}",
                short(&self.model),
                short(model.hash())
            ));
        }
        for (site, hash) in &self.dictionaries {
            match dictionaries.get(site).map(|sae| sae.hash()) {
                None => out.push(format!("there is no dictionary for {site}")),
                Some(other) if other != *hash => out.push(format!(
                    "at {site} it was made for the dictionary {}, and this one is {}",
                    short(hash),
                    short(&other)
                )),
                Some(_) => {}
            }
        }
        out
    }

    /// Whether these edits mean here what they meant where they were made.
    ///
    /// # Errors
    /// Another model, or another dictionary at an edited site: the same number would be another
    /// latent.
    pub fn check(&self, model: &Model, dictionaries: &Dictionaries) -> Result<()> {
        match self.misfits(model, dictionaries).as_slice() {
            [] => Ok(()),
            why => Err(Error::setting(
                format!("The edits {:?} do not belong to what is open", self.name),
                why.join("; "),
                "Open what they were made for, or say that they are meant for this one",
            )),
        }
    }

    /// The set in a file: JSON that begins with a brace, or plain lines, one edit a line, where `#`
    /// begins a remark. A file without a name in it is called as the file is.
    ///
    /// # Errors
    /// No file there, one that is no UTF-8; a line that is no edit, named with its number.
    pub fn read(path: &Path) -> Result<Self> {
        let what = || format!("Could not read the edits {}", path.display());
        let mut bytes = Vec::new();
        let file = File::open(path).doing(what)?;
        if file.metadata().doing(what)?.is_dir() {
            return Err(Error::format(what(), "it is a folder", "Choose a file in it"));
        }
        file.take(LARGEST + 1).read_to_end(&mut bytes).doing(what)?;
        if bytes.len() as u64 > LARGEST {
            let why = format!("it is larger than {} MiB", LARGEST >> 20);
            return Err(Error::format(what(), why, "Choose a file of edits"));
        }
        let text = String::from_utf8(bytes)
            .map_err(|e| Error::format(what(), e.to_string(), "Save it as UTF-8"))?;
        let name = path.file_stem().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        Self::parse(&name, &text).map_err(|e| Error { what: what(), ..e })
    }

    /// The set in a text; see [`EditSet::read`].
    ///
    /// # Errors
    /// As there.
    pub fn parse(name: &str, text: &str) -> Result<Self> {
        let what = || format!("Could not read the edits {name:?}");
        // Windows editors put a byte-order mark in front; it is no part of the text.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let set = match text.trim_start().starts_with('{') {
            true => stored(text).map_err(|why| {
                let remedy = "It must be {\"format\": \"sparsescope edits 1\", \"edits\": [..]}, or \
                     plain lines such as resid.2/41 add 3";
                Error::format(what(), why, remedy)
            })?,
            false => {
                let edits = lines(text).map_err(|e| Error {
                    kind: ErrorKind::Format,
                    what: what(),
                    ..e
                })?;
                Self { edits, ..Self::default() }
            }
        };
        if set.edits.is_empty() {
            return Err(Error::format(
                what(),
                "it has no edits",
                "Write one, such as resid.2/41 add 3",
            ));
        }
        match set.name.is_empty() {
            true => Ok(Self { name: name.to_owned(), ..set }),
            false => Ok(set),
        }
    }

    /// Itself as JSON, an edit a line.
    pub fn to_json(&self) -> String {
        let stored = Stored {
            format: FORMAT.to_owned(),
            name: self.name.clone(),
            model: self.model.clone(),
            dictionaries: self.dictionaries.clone(),
            edits: self.edits.clone(),
            note: self.note.clone(),
        };
        // Strings and maps of strings: nothing that JSON could not say.
        serde_json::to_string_pretty(&stored).unwrap_or_default() + "\n"
    }

    /// Writes it to `path` as JSON, in the place of what is there.
    ///
    /// # Errors
    /// The file cannot be written; what was there then stays as it was.
    pub fn write(&self, path: &Path) -> Result<()> {
        write_beside_bytes(path, self.to_json().as_bytes())?;
        put_in_place(path)
    }
}

fn stored(text: &str) -> Result<EditSet, String> {
    // serde names the line of whatever it does not understand, an edit included.
    let found: Stored = serde_json::from_str(text).map_err(|e| e.to_string())?;
    if found.format != FORMAT {
        return Err(format!("its format is {:?} instead of {FORMAT:?}", found.format));
    }
    Ok(EditSet {
        name: found.name,
        model: found.model,
        dictionaries: found.dictionaries,
        edits: found.edits,
        note: found.note,
    })
}

fn lines(text: &str) -> Result<Vec<Edit>> {
    let mut out = Vec::new();
    for (i, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        out.push(line.parse().map_err(|e: Error| Error {
            why: format!("line {}: {}: {}", i + 1, e.what, e.why),
            ..e
        })?);
    }
    Ok(out)
}

/// The first digits of a hash, enough to tell two apart.
fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activations::testing::{tiny_model, tiny_sae};
    use std::sync::Arc;

    fn set() -> (EditSet, Model, Dictionaries) {
        let model = tiny_model();
        let (a, b) = (Site::Resid(0), Site::Mlp(1));
        let sae = Arc::new(tiny_sae(&[16, 24]));
        let dictionaries = Dictionaries::from([(a, sae.clone()), (b, sae)]);
        let edits = vec![
            "resid.0/3 add 0.1 @ generated".parse().unwrap(),
            "resid.0/9 ablate".parse().unwrap(),
        ];
        let set = EditSet::new("joy", &model, &dictionaries, edits);
        (EditSet { note: "a \"note\"".to_owned(), ..set }, model, dictionaries)
    }

    #[test]
    fn a_set_comes_back_from_its_file() {
        let (set, ..) = set();
        assert_eq!(set.dictionaries.len(), 1, "only edited sites are named");
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mine.json");
        set.write(&path).unwrap();
        assert_eq!(EditSet::read(&path).unwrap(), set);
        assert_eq!(EditSet::parse("x", &format!("\u{feff}{}", set.to_json())).unwrap(), set);
    }

    #[test]
    fn plain_lines_are_edits_too() {
        let text = "# joy\nresid.0/3 add 3 @ generated # stronger\r\n\nmlp.1/7 ablate\n";
        let set = EditSet::parse("joy", text).unwrap();
        let edits: Vec<String> = set.edits.iter().map(ToString::to_string).collect();
        assert_eq!(edits, ["resid.0/3 add 3 @ generated", "mlp.1/7 ablate"]);
        assert_eq!((set.name.as_str(), set.model.as_str()), ("joy", ""));
    }

    #[test]
    fn a_mistake_is_named_with_its_line() {
        let json = "{\"format\": \"sparsescope edits 1\",\n\"edits\": [\"resid.0/3 add 3\",\n\"resid.0 add\"]}";
        let other = "{\"format\": \"something else\", \"edits\": []}";
        for (text, words) in [
            ("resid.0/3 add 3\n\nresid.0/3 ad 4", "line 3"),
            (json, "line 3"),
            (other, "something else"),
            ("{\"edits\": []}", "format"),
            ("{\"format\": \"sparsescope edits 1\", \"edit\": []}", "edit"),
            ("# nothing\n", "no edits"),
            ("{", "line 1"),
        ] {
            let error = EditSet::parse("t", text).unwrap_err();
            assert!(error.why.contains(words), "{text}: {error}");
            assert_eq!(error.kind, ErrorKind::Format);
        }
        assert!(EditSet::read(Path::new("/nowhere/at/all")).is_err());
        assert!(EditSet::read(&std::env::temp_dir()).is_err());
    }

    #[test]
    fn edits_of_other_dictionaries_are_refused_with_the_reason() {
        let (set, model, mut dictionaries) = set();
        set.check(&model, &dictionaries).unwrap();
        dictionaries.insert(Site::Mlp(1), Arc::new(tiny_sae(&[16, 32])));
        set.check(&model, &dictionaries).unwrap();
        dictionaries.insert(Site::Resid(0), Arc::new(tiny_sae(&[16, 32])));
        let error = set.check(&model, &dictionaries).unwrap_err();
        assert!(error.why.contains("at resid.0"), "{error}");
        dictionaries.remove(&Site::Resid(0));
        assert!(set.check(&model, &dictionaries).unwrap_err().why.contains("no dictionary"));
        let foreign = EditSet { model: "0".repeat(64), ..set };
        assert_eq!(foreign.misfits(&model, &dictionaries).len(), 2);
        // Plain lines say nothing of what they are for.
        let plain = EditSet::parse("p", "resid.0/3 ablate").unwrap();
        assert!(plain.misfits(&model, &Dictionaries::new()).is_empty());
    }
}
