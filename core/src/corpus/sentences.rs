//! Where sentences end: a small set of rules for prose.

/// Titles and the like: a full stop after one of these ends no sentence.
const NEVER_LAST: &[&str] = &[
    "mr", "mrs", "ms", "dr", "prof", "st", "gen", "col", "capt", "lt", "sgt", "rev", "hon", "mt",
    "messrs", "vs", "cf", "e.g", "i.e", "eg", "ie", "viz", "approx",
];

/// Abbreviations that a number follows: `No. 5`, `Fig. 2`, `p. 17`.
const BEFORE_NUMBER: &[&str] = &["no", "nos", "fig", "figs", "vol", "ch", "sec", "p", "pp", "art"];

/// The sentences of a text, without the white space around them.
///
/// A sentence ends after `.`, `!`, `?` or `…` (and any closing quotes and brackets) where white
/// space follows and what comes next does not begin with a small letter; after `。`, `！`, `？`
/// wherever they stand; and at a blank line. A full stop does not end it after a title
/// (`Mr.`), an initial (`J. Austen`), or an abbreviation before a number (`No. 5`).
pub fn sentences(text: &str) -> Vec<&str> {
    let mut all = Vec::new();
    let mut start = 0;
    let mut at = 0;
    while at < text.len() {
        match end_at(text, at) {
            Some(end) => {
                push(&mut all, &text[start..end]);
                start = end;
                at = end;
            }
            None => at += text[at..].chars().next().map_or(1, char::len_utf8),
        }
    }
    push(&mut all, &text[start..]);
    all
}

fn push<'t>(all: &mut Vec<&'t str>, sentence: &'t str) {
    let sentence = sentence.trim();
    if !sentence.is_empty() {
        all.push(sentence);
    }
}

/// Where the sentence ends, if it ends with the mark at `at`.
fn end_at(text: &str, at: usize) -> Option<usize> {
    let mark = text[at..].chars().next()?;
    let after_mark = at + mark.len_utf8();
    match mark {
        '\n' => blank_line(&text[after_mark..]).then_some(after_mark),
        '。' | '！' | '？' => Some(after_closers(text, after_mark)),
        '.' | '!' | '?' | '…' => {
            // Of `?!` and `...` only the last mark counts.
            if text[after_mark..].starts_with(['.', '!', '?', '…']) {
                return None;
            }
            let end = after_closers(text, after_mark);
            let rest = &text[end..];
            if rest.is_empty() {
                return Some(end);
            }
            if !rest.starts_with(char::is_whitespace) {
                return None;
            }
            let next = rest.trim_start().trim_start_matches(is_opener).chars().next();
            if next.is_some_and(char::is_lowercase) {
                return None;
            }
            let goes_on = mark == '.' && end == after_mark && is_abbreviation(&text[..at], next);
            (!goes_on).then_some(end)
        }
        _ => None,
    }
}

fn blank_line(rest: &str) -> bool {
    rest.trim_start_matches([' ', '\t', '\r']).starts_with('\n')
}

fn after_closers(text: &str, at: usize) -> usize {
    let rest = &text[at..];
    at + (rest.len() - rest.trim_start_matches(is_closer).len())
}

fn is_closer(c: char) -> bool {
    matches!(c, '"' | '\'' | '”' | '’' | ')' | ']' | '}' | '»' | '」' | '』')
}

fn is_opener(c: char) -> bool {
    matches!(c, '"' | '\'' | '“' | '‘' | '(' | '[' | '{' | '«' | '「' | '『' | '-' | '–' | '—')
}

/// Whether the full stop after `before` belongs to an abbreviation; `next` begins what follows.
fn is_abbreviation(before: &str, next: Option<char>) -> bool {
    let word = before.rsplit(|c: char| c.is_whitespace() || is_opener(c)).next().unwrap_or("");
    let mut letters = word.chars();
    if let (Some(initial), None) = (letters.next(), letters.next())
        && initial.is_uppercase()
        // "So did I." and "plan B." end; "J. Austen" goes on.
        && initial != 'I'
        && next.is_some_and(char::is_uppercase)
    {
        return true;
    }
    let word = word.to_lowercase();
    NEVER_LAST.contains(&word.as_str())
        || (BEFORE_NUMBER.contains(&word.as_str()) && next.is_some_and(|c| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::sentences;

    fn check(parts: &[&str]) {
        assert_eq!(sentences(&parts.join(" ")), parts);
    }

    #[test]
    fn plain_marks() {
        check(&["He ran.", "Did she?", "Yes!", "They left"]);
        check(&["It was 3.5 m long.", "See example.com for more.", "Really?!", "Well... no."]);
        assert!(sentences(" \n ").is_empty());
    }

    #[test]
    fn quotes_go_with_their_sentence() {
        check(&["\"I can.\"", "She smiled."]);
        check(&["\"Stop!\" said Tom.", "“Why?” asked Ann."]);
        check(&["He said, \"Go.\"", "\"No,\" she said.", "(It rained.)", "They stayed."]);
    }

    #[test]
    fn abbreviations_go_on() {
        check(&["Mr. Smith met Dr. Lee vs. Ms. Ray.", "They sat."]);
        check(&["J. R. Tolkien wrote it.", "So did I.", "It is No. 5 of Fig. 2.", "No.", "Yes."]);
        check(&["Use tools, e.g. Excel, etc. and so on.", "Fine."]);
    }

    #[test]
    fn line_breaks_are_spaces_but_blank_lines_end() {
        assert_eq!(sentences("The cat\nsat. It\nslept"), ["The cat\nsat.", "It\nslept"]);
        assert_eq!(sentences("A title\n\nThe text\r\n \r\nMore"), ["A title", "The text", "More"]);
    }

    #[test]
    fn other_scripts() {
        assert_eq!(sentences("今日は。元気？はい"), ["今日は。", "元気？", "はい"]);
        check(&["그는 갔다.", "🎈 날았다!", "끝"]);
    }
}
