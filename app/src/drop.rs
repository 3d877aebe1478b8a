//! What was dropped on the window, and what to do with it.

use std::io::Read as _;
use std::path::Path;

/// What a path looks like. Decided off the UI's thread: it looks at the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dropped {
    /// A model's folder or its weights.
    Model,
    /// A text.
    Text,
    /// A folder with a trained SAE.
    Sae,
    /// Edits under a name.
    Edits,
    /// Pairs of prompts.
    Task,
    /// A circuit, or an attribution graph of circuit-tracer.
    Circuit,
    /// Texts with two labels.
    LabelledTexts,
}

/// What is at `path`. What looks like nothing else is taken for a model, whose loader then says
/// what is wrong with it.
pub fn kind(path: &Path) -> Dropped {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("").to_ascii_lowercase();
    if path.is_dir() {
        let is_sae = ["sae.json", "sae.safetensors", "cfg.json", "sweep.json"]
            .iter()
            .any(|f| path.join(f).is_file());
        return if is_sae && !path.join("config.json").is_file() {
            Dropped::Sae
        } else {
            Dropped::Model
        };
    }
    if matches!(extension.as_str(), "json" | "jsonl" | "ndjson") {
        let start = start(path);
        if start.contains("\"sparsescope edits 1\"") {
            return Dropped::Edits;
        }
        if start.contains("\"clean_prefix\"") {
            return Dropped::Task;
        }
        if extension == "json"
            && ["\"conventions\"", "\"metadata\"", "\"qParams\""]
                .iter()
                .any(|key| start.contains(key))
        {
            return Dropped::Circuit;
        }
    }
    if matches!(extension.as_str(), "csv" | "tsv" | "jsonl" | "ndjson") && is_labelled(path) {
        return Dropped::LabelledTexts;
    }
    match extension.as_str() {
        "txt" | "jsonl" | "ndjson" | "text" | "md" | "parquet" | "csv" | "tsv" => Dropped::Text,
        _ => Dropped::Model,
    }
}

/// Whether the first line of a table names a text, a label, and something it could be mistaken for.
fn is_labelled(path: &Path) -> bool {
    let start = start(path);
    let first = start.lines().next().unwrap_or_default();
    // Of an object its keys, else the fields of a header: never what a text says.
    let fields: Vec<String> = match serde_json::from_str::<serde_json::Value>(first) {
        Ok(serde_json::Value::Object(object)) => object.keys().cloned().collect(),
        _ if first.trim_start().starts_with('{') => keys(first),
        _ => first.split([',', '\t']).map(str::to_owned).collect(),
    };
    let names = |words: &[&str]| {
        fields.iter().any(|field| words.iter().any(|w| field.to_ascii_lowercase().contains(w)))
    };
    names(&["text", "bio", "sentence"])
        && names(&["label", "profession", "class", "target"])
        && names(&["spurious", "gender", "sex"])
}

/// The keys in the beginning of a long object: what stands in quotes before a colon.
fn keys(object: &str) -> Vec<String> {
    let parts: Vec<&str> = object.split('"').collect();
    let is_key =
        |pair: &&[&str]| pair.get(1).is_some_and(|next| next.trim_start().starts_with(':'));
    parts.windows(2).filter(is_key).map(|pair| pair[0].to_owned()).collect()
}

/// The first few kilobytes of a file; nothing if it cannot be read.
fn start(path: &Path) -> String {
    let mut bytes = Vec::new();
    if let Ok(file) = std::fs::File::open(path) {
        let _ = file.take(4096).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_is_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(kind(dir.path()), Dropped::Model);
        std::fs::write(dir.path().join("sae.json"), "{}").unwrap();
        assert_eq!(kind(dir.path()), Dropped::Sae);
        std::fs::write(dir.path().join("config.json"), "{}").unwrap();
        assert_eq!(kind(dir.path()), Dropped::Model);
        let pairs = dir.path().join("pairs.jsonl");
        std::fs::write(&pairs, "{\"clean_prefix\": \"The man\"}").unwrap();
        assert_eq!(kind(&pairs), Dropped::Task);
        let graph = dir.path().join("graph.json");
        std::fs::write(&graph, "{\"metadata\": {}, \"qParams\": {}}").unwrap();
        assert_eq!(kind(&graph), Dropped::Circuit);
        assert_eq!(kind(&dir.path().join("text.jsonl")), Dropped::Text);
        for (name, first, wanted) in [
            ("bios.csv", "id,text,profession,gender\n1,She,nurse,f\n", Dropped::LabelledTexts),
            ("bios.tsv", "bio\tlabel\tspurious\n", Dropped::LabelledTexts),
            (
                "bios.jsonl",
                "{\"text\": \"She\", \"label\": \"nurse\", \"gender\": \"f\"}\n",
                Dropped::LabelledTexts,
            ),
            ("plain.csv", "text,date\n", Dropped::Text),
            ("plain.jsonl", "{\"text\": \"a label of no gender\"}\n", Dropped::Text),
        ] {
            let path = dir.path().join(name);
            std::fs::write(&path, first).unwrap();
            assert_eq!(kind(&path), wanted, "{name}");
        }
        assert_eq!(kind(Path::new("/nowhere/a.TXT")), Dropped::Text);
        assert_eq!(kind(Path::new("/nowhere/model.safetensors")), Dropped::Model);
    }
}
