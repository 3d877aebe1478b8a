//! What was dropped on the window, and what to do with it.

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
    match extension.as_str() {
        "txt" | "jsonl" | "ndjson" | "text" | "md" | "parquet" | "csv" => Dropped::Text,
        _ => Dropped::Model,
    }
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
        assert_eq!(kind(Path::new("/nowhere/a.TXT")), Dropped::Text);
        assert_eq!(kind(Path::new("/nowhere/model.safetensors")), Dropped::Model);
    }
}
