//! Comma-separated values (RFC 4180): fields in quotes may hold commas, quotes and line ends.

/// The records of `text`, each with its fields. A quote that is never closed ends with the text.
pub(super) fn records(text: &str) -> Vec<Vec<String>> {
    let (mut records, mut record, mut field) = (Vec::new(), Vec::new(), String::new());
    let mut quoted = false;
    let mut chars = text.strip_prefix('\u{feff}').unwrap_or(text).chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            '"' if quoted => quoted = false,
            '"' if field.is_empty() => quoted = true,
            ',' if !quoted => record.push(std::mem::take(&mut field)),
            '\r' if !quoted && chars.peek() == Some(&'\n') => {}
            '\n' if !quoted => {
                record.push(std::mem::take(&mut field));
                records.push(std::mem::take(&mut record));
            }
            c => field.push(c),
        }
    }
    if !field.is_empty() || !record.is_empty() {
        record.push(field);
        records.push(record);
    }
    records.retain(|r| r.iter().any(|f| !f.is_empty()));
    records
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_with_and_without_quotes() {
        let text = "\u{feff}index,description\r\n3,\"a, \"\"b\"\"\nc\"\n\n4,plain\n5,\"open";
        let all = records(text);
        assert_eq!(all[0], ["index", "description"]);
        assert_eq!(all[1], ["3", "a, \"b\"\nc"]);
        assert_eq!(all[2], ["4", "plain"]);
        assert_eq!(all[3], ["5", "open"]);
        assert_eq!(all.len(), 4);
        assert!(records("").is_empty());
    }
}
