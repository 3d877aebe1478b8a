//! Tables of texts: CSV, tab-separated, JSON Lines.

use super::Columns;
use super::data::Row;
use crate::error::{Error, IoContext as _, Result};
use serde_json::Value;
use std::io::Read as _;
use std::path::Path;

/// The largest file that is read, in bytes.
const LARGEST: u64 = 1 << 30;
/// Rows between two looks at the cancel flag.
const LOOK: usize = 1000;

/// The rows of the table at `path`, which is told by its extension: `.jsonl`, `.tsv`, else CSV.
/// A row of a JSON Lines file without one of the keys has no text.
///
/// # Errors
/// No file, one that is not UTF-8 or too large, a missing column, a ragged or broken line (named
/// with its number), no rows; what `check` returns.
pub(super) fn read_table(
    path: &Path,
    columns: &Columns,
    check: &dyn Fn() -> Result<()>,
) -> Result<Vec<Row>> {
    let text = read_text(path)?;
    let what = || format!("Could not read the texts in {}", path.display());
    let rows = match extension(path).as_str() {
        "jsonl" | "ndjson" => json_lines(&text, columns, check),
        "tsv" | "tab" => separated(&text, b'\t', &columns.all(), check).map(rows_of_three),
        _ => separated(&text, b',', &columns.all(), check).map(rows_of_three),
    };
    let rows = rows.map_err(|e| if e.is_cancelled() { e } else { Error { what: what(), ..e } })?;
    if rows.is_empty() {
        return Err(Error::format(what(), "it has no rows", "Choose another file"));
    }
    Ok(rows)
}

/// One column of the table at `path`, row by row; of a file that is no table each line.
///
/// # Errors
/// As [`read_table`].
pub(super) fn read_column(
    path: &Path,
    column: &str,
    check: &dyn Fn() -> Result<()>,
) -> Result<Vec<String>> {
    let text = read_text(path)?;
    let found = match extension(path).as_str() {
        "txt" => Ok(text.lines().map(|line| vec![line.to_owned()]).collect()),
        "jsonl" | "ndjson" => {
            let columns =
                Columns { text: column.into(), label: column.into(), spurious: column.into() };
            json_lines(&text, &columns, check)
                .map(|rows| rows.into_iter().map(|[text, _, _]| vec![text]).collect())
        }
        "tsv" | "tab" => separated(&text, b'\t', &[column], check),
        _ => separated(&text, b',', &[column], check),
    };
    let what = || format!("Could not read the texts in {}", path.display());
    let found: Vec<Vec<String>> =
        found.map_err(|e| if e.is_cancelled() { e } else { Error { what: what(), ..e } })?;
    let texts: Vec<String> =
        found.into_iter().flatten().filter(|text| !text.trim().is_empty()).collect();
    if texts.is_empty() {
        return Err(Error::format(what(), "it has no texts", "Choose another file"));
    }
    Ok(texts)
}

/// Names of the columns of the table at `path`; of a JSON Lines file the keys of its first object.
///
/// # Errors
/// No file, one that is not UTF-8 or too large; a header or a first line that cannot be read.
pub fn columns_of(path: &Path) -> Result<Vec<String>> {
    let text = read_text(path)?;
    let what = || format!("Could not read the columns of {}", path.display());
    let delimiter = match extension(path).as_str() {
        "jsonl" | "ndjson" => {
            let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
            let remedy = "Each line must be one JSON object";
            let value: Value = serde_json::from_str(first)
                .map_err(|e| Error::format(what(), format!("line 1: {e}"), remedy))?;
            let keys = value.as_object().map(|object| object.keys().cloned().collect());
            return keys.ok_or_else(|| Error::format(what(), "line 1: it is no object", remedy));
        }
        "tsv" | "tab" => b'\t',
        _ => b',',
    };
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .quoting(delimiter == b',')
        .from_reader(text.as_bytes());
    let header = reader.headers().map_err(|e| Error { what: what(), ..broken(&e) })?;
    Ok(header.iter().map(|name| name.trim().to_owned()).collect())
}

impl Columns {
    fn all(&self) -> [&str; 3] {
        [&self.text, &self.label, &self.spurious]
    }
}

fn extension(path: &Path) -> String {
    path.extension().map_or_else(String::new, |e| e.to_string_lossy().to_lowercase())
}

fn read_text(path: &Path) -> Result<String> {
    let what = || format!("Could not read the texts in {}", path.display());
    let file = std::fs::File::open(path).doing(what)?;
    if file.metadata().doing(what)?.is_dir() {
        return Err(Error::format(what(), "it is a folder", "Choose a file in it"));
    }
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes).doing(what)?;
    if bytes.len() as u64 > LARGEST {
        let why = format!("it is larger than {} MiB", LARGEST >> 20);
        return Err(Error::format(what(), why, "Choose a part of it"));
    }
    let text = String::from_utf8(bytes).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        let line = 1 + e.as_bytes()[..at].iter().filter(|b| **b == b'\n').count();
        Error::format(what(), format!("it is not UTF-8 (line {line})"), "Save it as UTF-8")
    })?;
    Ok(text.strip_prefix('\u{feff}').map_or(text.clone(), str::to_owned))
}

fn rows_of_three(rows: Vec<Vec<String>>) -> Vec<Row> {
    rows.into_iter().filter_map(|row| Row::try_from(row).ok()).collect()
}

/// The named columns of a table with a header, in this order.
fn separated(
    text: &str,
    delimiter: u8,
    columns: &[&str],
    check: &dyn Fn() -> Result<()>,
) -> Result<Vec<Vec<String>>> {
    // Quotes in tab-separated files are usually letters like any other.
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .quoting(delimiter == b',')
        .from_reader(text.as_bytes());
    let header = reader.headers().map_err(|e| broken(&e))?.clone();
    let names: Vec<&str> = header.iter().map(str::trim).collect();
    let places = columns
        .iter()
        .map(|column| {
            names.iter().position(|name| name == column).ok_or_else(|| {
                Error::setting(
                    "",
                    format!("it has no column {column:?}; its columns are {}", quoted(&names)),
                    "Name the columns of the text, the label and the spurious value",
                )
            })
        })
        .collect::<Result<Vec<usize>>>()?;
    let mut rows = Vec::new();
    for (i, record) in reader.records().enumerate() {
        if i % LOOK == 0 {
            check()?;
        }
        let record = record.map_err(|e| broken(&e))?;
        rows.push(places.iter().map(|p| record.get(*p).unwrap_or("").to_owned()).collect());
    }
    Ok(rows)
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ")
}

fn broken(error: &csv::Error) -> Error {
    let line = |position: &Option<csv::Position>| {
        position.as_ref().map_or_else(|| "a line".to_owned(), |p| format!("line {}", p.line()))
    };
    let why = match error.kind() {
        csv::ErrorKind::UnequalLengths { pos, expected_len, len } => {
            format!("{} has {len} fields and the header {expected_len}", line(pos))
        }
        csv::ErrorKind::Utf8 { pos, .. } => format!("{} is not UTF-8", line(pos)),
        _ => error.to_string(),
    };
    Error::format("", why, "Mend that line; a field with a comma or a line end needs quotes")
}

fn json_lines(text: &str, columns: &Columns, check: &dyn Fn() -> Result<()>) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let mut whole = false;
    for (i, line) in text.lines().enumerate() {
        if i % LOOK == 0 {
            check()?;
        }
        if line.trim().is_empty() {
            continue;
        }
        let bad = |why: String| {
            let remedy = "Each line must be one JSON object";
            Error::format("", format!("line {}: {why}", i + 1), remedy)
        };
        let value: Value = serde_json::from_str(line).map_err(|e| bad(e.to_string()))?;
        let Some(object) = value.as_object() else {
            return Err(bad("it is no object".to_owned()));
        };
        let field = |name: &str| match object.get(name) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            Some(Value::Bool(yes)) => yes.to_string(),
            _ => String::new(),
        };
        let all = columns.all();
        let row = all.map(field);
        match all.iter().all(|name| object.contains_key(*name)) {
            true => {
                whole = true;
                rows.push(row);
            }
            false => rows.push(Row::default()),
        }
    }
    if !whole && !rows.is_empty() {
        let first: Option<Value> = text.lines().find_map(|l| serde_json::from_str(l).ok());
        let keys: Vec<String> = first
            .and_then(|v| v.as_object().map(|o| o.keys().cloned().collect()))
            .unwrap_or_default();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        return Err(Error::setting(
            "",
            format!(
                "no line has all of {}; the first has {}",
                quoted(&columns.all()),
                quoted(&keys)
            ),
            "Name the keys of the text, the label and the spurious value",
        ));
    }
    Ok(rows)
}

#[cfg(test)]
#[path = "tests/table_file.rs"]
mod tests;
