//! Conversations as a model's own chat template writes them.

use crate::error::{Error, Result};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Value, ValueKind};
use minijinja::{Environment, ErrorKind, State, context};
use serde::{Deserialize, Serialize};
use std::time::{SystemTime, UNIX_EPOCH};

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: String,
}

/// Who speaks in a conversation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Nobody: what the model is told beforehand.
    System,
    /// The person.
    #[default]
    User,
    /// The model.
    Assistant,
}

impl Role {
    /// Its name in a chat template.
    pub fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

/// A chat template in Jinja, as `tokenizer_config.json` or `chat_template.jinja` brings it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ChatTemplate {
    source: String,
    bos: String,
    eos: String,
}

/// Steps after which a template is taken not to end.
const FUEL: u64 = 10_000_000;

impl ChatTemplate {
    /// The template in `jinja`, or else that in the text of `tokenizer_config.json`; of several
    /// named ones, `default`.
    pub fn find(settings: &serde_json::Value, jinja: Option<&str>, bos: &str) -> Option<Self> {
        let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
        let named = |value: &serde_json::Value| {
            let all = value.as_array()?;
            let default = all.iter().find(|t| t["name"] == "default").or_else(|| all.first())?;
            text(&default["template"])
        };
        let stored = &settings["chat_template"];
        let source = jinja.map(str::to_owned).or_else(|| text(stored)).or_else(|| named(stored))?;
        let token = |key: &str| text(&settings[key]).or_else(|| text(&settings[key]["content"]));
        Some(Self {
            source,
            bos: token("bos_token").unwrap_or_else(|| bos.to_owned()),
            eos: token("eos_token").unwrap_or_default(),
        })
    }

    /// The conversation as a text, up to where the assistant's answer begins.
    pub fn render(&self, messages: &[Message]) -> Result<String> {
        if messages.is_empty() {
            return Err(Error::setting(
                "There is no conversation",
                "it has no messages",
                "Write what the user says",
            ));
        }
        let mut env = environment();
        env.add_template("chat", &self.source).map_err(|e| no_template(&e))?;
        let template = env.get_template("chat").map_err(|e| no_template(&e))?;
        let messages: Vec<Value> = messages
            .iter()
            .map(|m| context! { role => m.role.name(), content => m.content.as_str() })
            .collect();
        // What transformers gives every template.
        let given = context! {
            messages => messages,
            bos_token => self.bos.as_str(),
            eos_token => self.eos.as_str(),
            add_generation_prompt => true,
            tools => Value::from(()),
            documents => Value::from(()),
        };
        template.render(given).map_err(|e| no_template(&e))
    }
}

/// The Jinja that transformers renders chat templates with.
fn environment() -> Environment<'static> {
    let mut env = Environment::new();
    let mut syntax = SyntaxConfig::builder();
    syntax.trim_blocks(true).lstrip_blocks(true);
    if let Ok(syntax) = syntax.build() {
        env.set_syntax(syntax);
    }
    env.set_fuel(Some(FUEL));
    env.set_unknown_method_callback(|_, value, name, args| method(value, name, args));
    env.add_filter("tojson", to_json);
    env.add_function("raise_exception", |why: String| -> Result<Value, minijinja::Error> {
        Err(minijinja::Error::new(ErrorKind::InvalidOperation, why))
    });
    env.add_function("strftime_now", |format: String| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        strftime(&format, now)
    });
    env
}

fn no_template(error: &minijinja::Error) -> Error {
    let line = error.line().map_or_else(String::new, |line| format!("line {line}: "));
    let why = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    Error::format(
        "The model's chat template does not render",
        format!("{line}{why}"),
        "Write the conversation otherwise, or give the prompt as plain text",
    )
}

/// Python's methods that templates call.
fn method(value: &Value, name: &str, args: &[Value]) -> Result<Value, minijinja::Error> {
    let unknown = || {
        let why = format!("{} has no method {name}", value.kind());
        minijinja::Error::new(ErrorKind::UnknownMethod, why)
    };
    if value.kind() == ValueKind::Map {
        let pairs = || -> Result<Vec<(Value, Value)>, minijinja::Error> {
            value.try_iter()?.map(|key| Ok((key.clone(), value.get_item(&key)?))).collect()
        };
        return match (name, args) {
            ("items", []) => {
                Ok(pairs()?.into_iter().map(|(k, v)| Value::from(vec![k, v])).collect())
            }
            ("keys", []) => Ok(pairs()?.into_iter().map(|(k, _)| k).collect()),
            ("values", []) => Ok(pairs()?.into_iter().map(|(_, v)| v).collect()),
            ("get", [key]) | ("get", [key, _]) => {
                let found = value.get_item(key)?;
                let other = args.get(1).cloned().unwrap_or(Value::from(()));
                Ok(if found.is_undefined() { other } else { found })
            }
            _ => Err(unknown()),
        };
    }
    let Some(text) = value.as_str() else { return Err(unknown()) };
    let words: Option<Vec<&str>> = args.iter().map(Value::as_str).collect();
    let Some(words) = words else { return Err(unknown()) };
    let within = |set: &str| {
        let set: Vec<char> = set.chars().collect();
        move |c: char| set.contains(&c)
    };
    Ok(match (name, words.as_slice()) {
        ("strip", []) => text.trim().into(),
        ("lstrip", []) => text.trim_start().into(),
        ("rstrip", []) => text.trim_end().into(),
        ("strip", [set]) => text.trim_matches(within(set)).into(),
        ("lstrip", [set]) => text.trim_start_matches(within(set)).into(),
        ("rstrip", [set]) => text.trim_end_matches(within(set)).into(),
        ("startswith", [start]) => text.starts_with(start).into(),
        ("endswith", [end]) => text.ends_with(end).into(),
        ("upper", []) => text.to_uppercase().into(),
        ("lower", []) => text.to_lowercase().into(),
        ("replace", [old, new]) => text.replace(old, new).into(),
        ("split", []) => text.split_whitespace().map(Value::from).collect(),
        ("split", [at]) if !at.is_empty() => text.split(at).map(Value::from).collect(),
        _ => return Err(unknown()),
    })
}

/// JSON as Python's `json.dumps` writes it: a space behind commas and colons, no escapes of what
/// is not ASCII.
fn to_json(_: &State<'_, '_>, value: Value, options: Kwargs) -> Result<String, minijinja::Error> {
    let wrong = |e: serde_json::Error| {
        minijinja::Error::new(ErrorKind::InvalidOperation, format!("no JSON: {e}"))
    };
    let indent: Option<usize> = options.get("indent")?;
    let value = serde_json::to_value(&value).map_err(wrong)?;
    let mut out = Vec::new();
    match indent {
        Some(n) => {
            let spaces = " ".repeat(n.min(64));
            let form = serde_json::ser::PrettyFormatter::with_indent(spaces.as_bytes());
            value.serialize(&mut serde_json::Serializer::with_formatter(&mut out, form))
        }
        None => value.serialize(&mut serde_json::Serializer::with_formatter(&mut out, Spaced)),
    }
    .map_err(wrong)?;
    Ok(String::from_utf8_lossy(&out).into_owned())
}

/// `{"a": [1, 2]}`.
struct Spaced;

impl serde_json::ser::Formatter for Spaced {
    fn begin_array_value<W: ?Sized + std::io::Write>(
        &mut self,
        out: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + std::io::Write>(
        &mut self,
        out: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + std::io::Write>(
        &mut self,
        out: &mut W,
    ) -> std::io::Result<()> {
        out.write_all(b": ")
    }
}

/// The date and time `now` (seconds since 1970, UTC) in C's notation; what it does not know it
/// leaves as it is.
fn strftime(format: &str, now: u64) -> String {
    const MONTHS: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    const DAYS: [&str; 7] =
        ["Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"];
    let days = now / 86_400;
    let (hour, minute, second) = (now / 3600 % 24, now / 60 % 60, now % 60);
    let leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let (mut year, mut day) = (1970, days);
    while day >= 365 + u64::from(leap(year)) {
        day -= 365 + u64::from(leap(year));
        year += 1;
    }
    let lengths = [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while day >= lengths[month] {
        day -= lengths[month];
        month += 1;
    }
    let (month_name, day_name) = (MONTHS[month], DAYS[(days % 7) as usize]);
    let mut out = String::new();
    let mut letters = format.chars();
    while let Some(c) = letters.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        match letters.next() {
            Some('Y') => out += &year.to_string(),
            Some('y') => out += &format!("{:02}", year % 100),
            Some('m') => out += &format!("{:02}", month + 1),
            Some('d') => out += &format!("{:02}", day + 1),
            Some('B') => out += month_name,
            Some('b') => out += &month_name[..3],
            Some('A') => out += day_name,
            Some('a') => out += &day_name[..3],
            Some('H') => out += &format!("{hour:02}"),
            Some('M') => out += &format!("{minute:02}"),
            Some('S') => out += &format!("{second:02}"),
            Some('%') => out.push('%'),
            Some(other) => out.extend(['%', other]),
            None => out.push('%'),
        }
    }
    out
}

#[cfg(test)]
#[path = "chat_tests.rs"]
mod tests;
