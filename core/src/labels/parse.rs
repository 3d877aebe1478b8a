//! Reading what a model answered: what was asked for, wherever in the answer it stands.

use serde_json::{Deserializer, Value};

/// Characters of a label that is taken from an answer without JSON at most.
const PLAIN: usize = 200;

/// The label in an answer; an error is a sentence of what stood there instead.
pub(super) fn label(text: &str) -> Result<String, String> {
    let clean = |text: &str| text.trim().trim_matches(['"', '*', '`']).trim().to_owned();
    let mut found = None;
    for start in text.match_indices('{').map(|(i, _)| i) {
        if let Some(Value::Object(object)) = first_value(&text[start..])
            && let Some(label) = object.get("label").and_then(Value::as_str)
        {
            found = Some(clean(label)).filter(|label| !label.is_empty()).or(found);
        }
    }
    if let Some(label) = found {
        return Ok(label);
    }
    for line in text.lines().rev() {
        let line = line.trim().trim_start_matches(['*', '#', '-', ' ']);
        if let Some((head, rest)) = line.split_once(':')
            && matches!(head.trim_matches('*').to_lowercase().as_str(), "label" | "explanation")
            && !clean(rest).is_empty()
        {
            return Ok(clean(rest));
        }
    }
    let plain = clean(text);
    let is_line = !plain.is_empty()
        && plain.chars().count() <= PLAIN
        && !plain.contains(['\n', '{', '}', '[', ']'])
        && !refuses(&plain);
    if is_line { Ok(plain) } else { Err(format!("no label in its answer: {}", beginning(text))) }
}

/// `count` answers of yes or no; an error is a sentence of what stood there instead. Of several
/// lists of the right length the last counts: models think before they answer.
pub(super) fn answers(text: &str, count: usize) -> Result<Vec<bool>, String> {
    let mut found = None;
    let mut other = None;
    for start in text.match_indices('[').map(|(i, _)| i) {
        let Some(Value::Array(list)) = first_value(&text[start..]) else { continue };
        let Some(list) = list.iter().map(yes_or_no).collect::<Option<Vec<bool>>>() else {
            continue;
        };
        if list.len() == count {
            found = Some(list);
        } else if !list.is_empty() {
            other = Some(list.len());
        }
    }
    found.ok_or_else(|| match other {
        Some(n) => format!("{n} answers where {count} were asked for"),
        None => format!("no list in its answer: {}", beginning(text)),
    })
}

fn yes_or_no(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(b) => Some(*b),
        Value::Number(n) if n.as_f64() == Some(0.0) => Some(false),
        Value::Number(n) if n.as_f64() == Some(1.0) => Some(true),
        Value::String(s) => match s.trim().to_lowercase().as_str() {
            "1" | "yes" | "true" => Some(true),
            "0" | "no" | "false" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

fn first_value(text: &str) -> Option<Value> {
    Deserializer::from_str(text).into_iter::<Value>().next()?.ok()
}

fn refuses(text: &str) -> bool {
    let lower = text.to_lowercase();
    ["i cannot", "i can't", "i'm sorry", "i am sorry", "as an ai", "i'm unable", "i am unable"]
        .iter()
        .any(|start| lower.contains(start))
}

/// The beginning of an answer, to show what it was like.
fn beginning(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.is_empty() {
        return "it is empty".into();
    }
    let short: String = line.chars().take(120).collect();
    if short.len() < line.len() { format!("“{short}…”") } else { format!("“{short}”") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_label_is_found_in_json_fences_and_prose() {
        for text in [
            r#"{"label": "plural nouns"}"#,
            "```json\n{\"label\": \"plural nouns\"}\n```",
            "Sure! Here it is: {\"label\":\"plural nouns\", \"certainty\": 1} Hope it helps.",
            "Thinking {about} it… {\"label\": \"first guess\"} no, {\"label\": \"plural nouns\"}",
            "I looked at all passages.\n**Label:** plural nouns",
            "plural nouns",
            "\"plural nouns\"\n",
        ] {
            assert_eq!(label(text).as_deref(), Ok("plural nouns"), "{text}");
        }
        for text in [
            "",
            "  ",
            "{",
            "{\"label\": \"\"}",
            "{\"label\": 3}",
            "I'm sorry, I cannot do that.",
            "{\"label\": \"cut off he",
            "One line\nand another",
            &"long ".repeat(100),
        ] {
            assert!(label(text).is_err(), "{text}");
        }
        assert!(label("<html>").is_ok());
    }

    #[test]
    fn answers_are_found_and_counted() {
        for text in [
            "[1,0,1]",
            "```json\n[1, 0, 1]\n```",
            "[true, false, true]",
            "{\"answers\": [\"yes\", \"no\", \"yes\"]}",
            "Passages [2] seem odd. So: [1.0, 0, \"1\"] .",
            "First I thought [0,0,0], but it is [1,0,1]",
            "[[1,0,1]]",
        ] {
            assert_eq!(answers(text, 3), Ok(vec![true, false, true]), "{text}");
        }
        assert!(answers("[1,0]", 3).unwrap_err().contains("2 answers where 3"));
        for text in ["", "[1,0,2]", "[1,0,1", "1,0,1", "[]", "[null,0,1]"] {
            assert!(answers(text, 3).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "(\\[|\\{|\\]|\\}|\"|,|1|label|:|\\PC){0,60}", n in 0usize..5) {
            let _ = (label(&text), answers(&text, n));
        }
    }
}
