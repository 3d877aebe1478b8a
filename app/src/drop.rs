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
    match extension.as_str() {
        "txt" | "jsonl" | "ndjson" | "text" | "md" | "parquet" | "csv" => Dropped::Text,
        _ => Dropped::Model,
    }
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
        assert_eq!(kind(Path::new("/nowhere/a.TXT")), Dropped::Text);
        assert_eq!(kind(Path::new("/nowhere/model.safetensors")), Dropped::Model);
    }
}
