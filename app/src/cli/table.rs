//! Aligned tables and plain numbers for a terminal.

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::time::Duration;

/// Which edge the entries of a column share.
#[derive(Clone, Copy, PartialEq)]
pub enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// A table with a heading over each column.
pub struct Table {
    columns: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings; `>` before one puts its column's entries to the right.
    pub fn new(headings: &[&str]) -> Self {
        let column = |h: &&str| match h.strip_prefix('>') {
            Some(rest) => (rest.to_owned(), Align::Right),
            None => ((*h).to_owned(), Align::Left),
        };
        Self { columns: headings.iter().map(column).collect(), rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row<I: IntoIterator<Item = S>, S: Into<String>>(&mut self, cells: I) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// The table as text, its headings bold if `style` says so.
    pub fn render(&self, style: Style) -> String {
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|c| {
                let entries = self.rows.iter().filter_map(|r| r.get(c)).map(|s| width(s));
                entries.chain([width(&self.columns[c].0)]).max().unwrap_or(0)
            })
            .collect();
        let line = |cells: &[String]| {
            let mut out = String::new();
            for (c, cell) in cells.iter().enumerate().take(widths.len()) {
                let space = " ".repeat(widths[c] - width(cell));
                let gap = if c == 0 { "" } else { "  " };
                match self.columns[c].1 {
                    Align::Left => write!(out, "{gap}{cell}{space}"),
                    Align::Right => write!(out, "{gap}{space}{cell}"),
                }
                .unwrap_or(());
            }
            out.trim_end().to_owned()
        };
        let headings: Vec<String> = self.columns.iter().map(|c| c.0.clone()).collect();
        let mut out = String::new();
        if headings.iter().any(|h| !h.is_empty()) {
            out += &style.bold(&line(&headings));
            out.push('\n');
        }
        for row in &self.rows {
            out += &line(row);
            out.push('\n');
        }
        out
    }
}

/// Whether stdout takes colours.
#[derive(Clone, Copy, PartialEq)]
pub struct Style {
    colours: bool,
}

impl Style {
    /// Colours if stdout is a terminal and `NO_COLOR` does not forbid them.
    pub fn of_stdout() -> Self {
        let forbidden = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
        Self { colours: !forbidden && std::io::stdout().is_terminal() }
    }

    /// A heading.
    pub fn bold(self, text: &str) -> String {
        self.wrap("1", text)
    }

    /// Something of less weight.
    pub fn dim(self, text: &str) -> String {
        self.wrap("2", text)
    }

    /// Something to look at: a token at the peak of its feature.
    pub fn mark(self, text: &str) -> String {
        self.wrap("1;33", text)
    }

    fn wrap(self, code: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Columns that `text` takes on a terminal: none for colour codes, two for East Asian signs and
/// emoji. An estimate: terminals differ on the rarer ones.
pub fn width(text: &str) -> usize {
    let mut in_code = false;
    text.chars()
        .map(|c| match c as u32 {
            0x1b => {
                in_code = true;
                0
            }
            _ if in_code => {
                in_code = c != 'm';
                0
            }
            0x300..=0x36f | 0x200b..=0x200f | 0xfe00..=0xfe0f => 0,
            0x1100..=0x115f
            | 0x2e80..=0xa4cf
            | 0xac00..=0xd7a3
            | 0xf900..=0xfaff
            | 0xfe30..=0xfe6f
            | 0xff00..=0xff60
            | 0x1f300..=0x1faff
            | 0x20000..=0x3fffd => 2,
            _ => 1,
        })
        .sum()
}

/// `1234567` as `1,234,567`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A number to four significant digits.
pub fn figure(number: f64) -> String {
    if !number.is_finite() {
        return "–".to_owned();
    }
    let size = number.abs();
    if size >= 10_000.0 {
        let sign = if number < 0.0 { "-" } else { "" };
        return format!("{sign}{}", count(size.round() as u64));
    }
    let digits = if size >= 1.0 { 3 - size.log10().floor() as usize } else { 4 };
    if size > 0.0 && size < 1e-3 { format!("{number:.2e}") } else { format!("{number:.digits$}") }
}

/// A share as a percentage.
pub fn percent(share: f64) -> String {
    if share.is_finite() { format!("{:.1} %", share * 100.0) } else { "–".to_owned() }
}

/// A size in bytes.
pub fn bytes(size: u64) -> String {
    let (mut number, mut unit) = (size as f64, "B");
    for next in ["KiB", "MiB", "GiB", "TiB"] {
        if number < 1024.0 {
            break;
        }
        (number, unit) = (number / 1024.0, next);
    }
    if unit == "B" { format!("{size} B") } else { format!("{number:.1} {unit}") }
}

/// A time: `3 h 05 min`, `2 min 10 s`, `4 s`.
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_whatever_is_in_them() {
        let mut table = Table::new(&["name", ">n"]);
        table.row(["고양이", "1"]);
        table.row(["a", "1,000"]);
        let plain = Style { colours: false };
        assert_eq!(table.render(plain), "name        n\n고양이      1\na       1,000\n");
        let colour = Style { colours: true };
        assert_eq!(width(&colour.mark("ab")), 2);
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(figure(12.3456), "12.35");
        assert_eq!(figure(0.98765), "0.9877");
        assert_eq!(figure(123_456.7), "123,457");
        assert_eq!(figure(-0.000_012), "-1.20e-5");
        assert_eq!(figure(0.0), "0.0000");
        assert_eq!(figure(f64::NAN), "–");
        assert_eq!(bytes(3_000_000), "2.9 MiB");
        assert_eq!(duration(Duration::from_secs(3_700)), "1 h 01 min");
    }
}
