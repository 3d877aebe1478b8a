//! The table as CSV.

use super::{RowKind, Share, Study, TableRow, write_file};
use crate::error::{Error, Result};
use std::path::Path;

impl Study {
    /// Its table as CSV with a header: shares from 0 to 1 with their intervals, each group, how the
    /// row was made. Rows without figures have empty fields and say why.
    ///
    /// # Errors
    /// None, short of a defect.
    pub fn to_csv(&self) -> Result<String> {
        let broken = |e: String| Error::internal("The table could not be written", e);
        let mut writer = csv::Writer::from_writer(Vec::new());
        let mut header: Vec<String> = vec!["row".into(), "trimmed".into(), "texts".into()];
        let mut shares = vec!["label".to_owned(), "spurious".into(), "worst group".into()];
        for label in &self.data.labels {
            shares.extend(self.data.spurious.iter().map(|s| format!("{label} {s}")));
        }
        for share in shares {
            header.extend([share.clone(), format!("{share} low"), format!("{share} high")]);
        }
        header.extend(["made".into(), "missing".into(), "words".into()]);
        writer.write_record(&header).map_err(|e| broken(e.to_string()))?;
        let rows = RowKind::ALL.iter().filter_map(|kind| self.row(*kind));
        for row in rows {
            writer.write_record(record(row)).map_err(|e| broken(e.to_string()))?;
        }
        let bytes = writer.into_inner().map_err(|e| broken(e.to_string()))?;
        String::from_utf8(bytes).map_err(|e| broken(e.to_string()))
    }

    /// Writes it to `path`, whole or not at all.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write_csv(&self, path: &Path) -> Result<()> {
        write_file(path, self.to_csv()?.as_bytes())
    }
}

fn record(row: &TableRow) -> Vec<String> {
    let mut out = vec![row.kind.name().to_owned(), row.trimmed.to_string()];
    match &row.accuracies {
        Some(a) => {
            out.push(a.texts.to_string());
            let groups = a.groups.iter().flatten();
            for Share { mean, low, high } in
                [&a.label, &a.spurious, &a.worst_group].into_iter().chain(groups)
            {
                out.extend([mean, low, high].map(|x| format!("{x:.4}")));
            }
        }
        None => out.resize(out.len() + 22, String::new()),
    }
    out.extend([row.made.clone(), row.missing.clone().unwrap_or_default(), row.words.join(" ")]);
    out
}
