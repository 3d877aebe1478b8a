//! Servers of language models: what they are, and how they are spoken to.

use super::key::KeySource;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// How a server is spoken to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// Chat completions as OpenAI has them, and with it most local servers.
    #[default]
    OpenAi,
    /// Messages, and batches of messages, as Anthropic has them.
    Anthropic,
}

impl Protocol {
    /// Its name on screen.
    pub fn name(self) -> &'static str {
        match self {
            Self::OpenAi => "OpenAI-compatible",
            Self::Anthropic => "Anthropic",
        }
    }

    /// The address of the company's own server.
    pub fn usual_url(self) -> &'static str {
        match self {
            Self::OpenAi => "https://api.openai.com/v1",
            Self::Anthropic => "https://api.anthropic.com",
        }
    }

    /// The environment variable that its key is usually in.
    pub fn usual_key(self) -> &'static str {
        match self {
            Self::OpenAi => "OPENAI_API_KEY",
            Self::Anthropic => "ANTHROPIC_API_KEY",
        }
    }
}

/// A server, and the model asked there. Holds no key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// How it is spoken to.
    pub protocol: Protocol,
    /// Its address: `https://api.openai.com/v1`, `http://localhost:8080/v1`.
    pub url: String,
    /// The model, by the name the server knows.
    pub model: String,
    /// Where its key is found.
    pub key: KeySource,
}

impl Endpoint {
    /// The company's own server.
    pub fn usual(protocol: Protocol, model: impl Into<String>) -> Self {
        Self {
            protocol,
            url: protocol.usual_url().into(),
            model: model.into(),
            key: KeySource::Named(protocol.usual_key().into()),
        }
    }

    /// Whether the server is this machine.
    pub fn is_local(&self) -> bool {
        matches!(host(&self.url), "localhost" | "127.0.0.1" | "[::1]")
    }

    /// The address of one of the server's functions.
    pub(super) fn address(&self, function: Function<'_>) -> String {
        let base = self.url.trim_end_matches('/');
        match (self.protocol, function) {
            (Protocol::OpenAi, _) => {
                format!("{}/chat/completions", base.trim_end_matches("/chat/completions"))
            }
            (Protocol::Anthropic, function) => {
                let base = base.trim_end_matches("/messages").trim_end_matches("/v1");
                match function {
                    Function::Message => format!("{base}/v1/messages"),
                    Function::Batches => format!("{base}/v1/messages/batches"),
                    Function::Batch(id) => format!("{base}/v1/messages/batches/{id}"),
                    Function::Results(id) => format!("{base}/v1/messages/batches/{id}/results"),
                    Function::Cancel(id) => format!("{base}/v1/messages/batches/{id}/cancel"),
                }
            }
        }
    }

    /// Refuses what cannot be an address, and what would give a key away.
    ///
    /// # Errors
    /// No `http` or `https` address; one with a name, key or query in it; a key that would go over
    /// an open line; no model.
    pub fn check(&self) -> Result<()> {
        let what = "The server cannot be asked";
        let refuse = |why: &str, remedy: &str| Err(Error::setting(what, why, remedy));
        let rest = self.url.strip_prefix("https://").or(self.url.strip_prefix("http://"));
        let Some(rest) = rest.filter(|r| !host(&self.url).is_empty() && r.is_ascii()) else {
            return refuse(
                "its address does not begin with http:// or https:// and a host",
                "Write it in full, such as http://localhost:8080/v1",
            );
        };
        if rest.contains(['@', '?', '#', ' ', '\\']) {
            return refuse(
                "its address holds a user, a query or a space, where a key might be",
                "Write the address alone; keys belong in the environment or the keyring",
            );
        }
        if self.key != KeySource::None && self.url.starts_with("http://") && !self.is_local() {
            return refuse(
                "its key would be sent over an open line (http)",
                "Use an https address, or choose no key",
            );
        }
        if self.model.trim().is_empty() || self.model.chars().any(char::is_control) {
            return refuse("no model is named", "Write the name that the server knows it by");
        }
        Ok(())
    }
}

/// What is asked of a server.
#[derive(Debug, Clone, Copy)]
pub(super) enum Function<'a> {
    Message,
    Batches,
    Batch(&'a str),
    Results(&'a str),
    Cancel(&'a str),
}

/// The host of an address, without its port.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let rest = rest.split(['/', '?', '#']).next().unwrap_or_default();
    match rest.strip_prefix('[') {
        Some(_) => rest.find(']').map_or("", |end| &rest[..=end]),
        None => rest.split(':').next().unwrap_or_default(),
    }
}

/// What a model is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Prompt {
    /// What it is to do.
    pub system: String,
    /// What it is to do it with.
    pub user: String,
    /// Tokens it may answer with.
    pub max_tokens: u32,
}

/// What a server wants said differently, as it was found out on the way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Dialect {
    /// It wants `max_completion_tokens`.
    pub completion_tokens: bool,
    /// It takes no `temperature`.
    pub no_temperature: bool,
}

impl Dialect {
    /// What to change after the server refused with `message`; `None` if nothing would help.
    pub fn after(self, message: &str) -> Option<Self> {
        let next = Self {
            completion_tokens: self.completion_tokens || message.contains("max_completion_tokens"),
            no_temperature: self.no_temperature || message.contains("temperature"),
        };
        (next != self).then_some(next)
    }
}

/// The body of a request for one answer.
pub(super) fn body(endpoint: &Endpoint, prompt: &Prompt, dialect: Dialect) -> Value {
    let model = &endpoint.model;
    let mut body = match endpoint.protocol {
        Protocol::OpenAi => {
            let limit =
                if dialect.completion_tokens { "max_completion_tokens" } else { "max_tokens" };
            json!({"model": model, limit: prompt.max_tokens, "messages": [
                {"role": "system", "content": prompt.system},
                {"role": "user", "content": prompt.user},
            ]})
        }
        Protocol::Anthropic => json!({
            "model": model, "max_tokens": prompt.max_tokens, "system": prompt.system,
            "messages": [{"role": "user", "content": prompt.user}],
        }),
    };
    if !dialect.no_temperature
        && let Some(body) = body.as_object_mut()
    {
        body.insert("temperature".into(), json!(0));
    }
    body
}

/// What a model answered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// Its text.
    pub text: String,
    /// Tokens it was billed for reading, if the server says.
    pub input_tokens: Option<u64>,
    /// Tokens it was billed for writing, if the server says.
    pub output_tokens: Option<u64>,
    /// The model that answered, as the server names it.
    pub model: Option<String>,
    /// Whether it was cut off at the limit of tokens.
    pub cut: bool,
}

/// Reads an answer; an error is a sentence of what is wrong with it.
pub(super) fn reply(protocol: Protocol, value: &Value) -> Result<Reply, String> {
    let number = |value: &Value| value.as_u64();
    let model = value["model"].as_str().map(str::to_owned);
    let usage = &value["usage"];
    match protocol {
        Protocol::OpenAi => {
            let choice = value["choices"].get(0).ok_or("it holds no choices")?;
            let text = match &choice["message"]["content"] {
                Value::String(text) => text.clone(),
                // Some servers give a list of parts.
                Value::Array(parts) => {
                    parts.iter().filter_map(|part| part["text"].as_str()).collect()
                }
                // A refusal, or a model that spent its tokens on thought.
                Value::Null if choice["message"].is_object() => String::new(),
                _ => return Err("its message holds no text".into()),
            };
            Ok(Reply {
                text,
                input_tokens: number(&usage["prompt_tokens"]),
                output_tokens: number(&usage["completion_tokens"]),
                model,
                cut: choice["finish_reason"] == "length",
            })
        }
        Protocol::Anthropic => {
            let parts = value["content"].as_array().ok_or("it holds no content")?;
            let texts = parts.iter().filter(|part| part["type"] == "text");
            let text = texts.filter_map(|part| part["text"].as_str()).collect();
            let cached = ["cache_creation_input_tokens", "cache_read_input_tokens"];
            let cached: u64 = cached.iter().filter_map(|name| usage[*name].as_u64()).sum();
            Ok(Reply {
                text,
                input_tokens: number(&usage["input_tokens"]).map(|n| n + cached),
                output_tokens: number(&usage["output_tokens"]),
                model,
                cut: value["stop_reason"] == "max_tokens",
            })
        }
    }
}

/// What a server says went wrong, in its own words, shortened.
pub(super) fn complaint(body: &str) -> String {
    let value: Value = serde_json::from_str(body).unwrap_or_default();
    let error = &value["error"];
    let said = error["message"].as_str().or(error.as_str()).or(value["message"].as_str());
    let text = said.unwrap_or(body).split_whitespace().collect::<Vec<_>>().join(" ");
    text.chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(protocol: Protocol, url: &str) -> Endpoint {
        Endpoint { protocol, url: url.into(), model: "m".into(), key: KeySource::None }
    }

    #[test]
    fn addresses_are_made_from_what_people_write() {
        for url in ["http://h/v1", "http://h/v1/", "http://h/v1/chat/completions"] {
            let of = endpoint(Protocol::OpenAi, url).address(Function::Message);
            assert_eq!(of, "http://h/v1/chat/completions");
        }
        for url in ["http://h", "http://h/", "http://h/v1", "http://h/v1/messages"] {
            let of = |f| endpoint(Protocol::Anthropic, url).address(f);
            assert_eq!(of(Function::Message), "http://h/v1/messages");
            assert_eq!(of(Function::Results("b1")), "http://h/v1/messages/batches/b1/results");
        }
    }

    #[test]
    fn an_address_that_would_give_a_key_away_is_refused() {
        for url in
            ["", "h/v1", "ftp://h", "http://", "http://u:k@h", "http://h?key=k", "http://:80"]
        {
            assert!(endpoint(Protocol::OpenAi, url).check().is_err(), "{url}");
        }
        let mut open = endpoint(Protocol::OpenAi, "http://example.com/v1");
        open.check().unwrap();
        open.key = KeySource::Named("KEY".into());
        assert!(open.check().unwrap_err().why.contains("open line"));
        for local in ["http://localhost:8080/v1", "http://127.0.0.1:1", "http://[::1]:8080/v1"] {
            let local = Endpoint { url: local.into(), ..open.clone() };
            assert!(local.is_local());
            local.check().unwrap();
        }
        assert!(!Endpoint { url: "http://localhost.evil.com".into(), ..open.clone() }.is_local());
        assert!(
            Endpoint { model: " ".into(), ..endpoint(Protocol::OpenAi, "http://h") }
                .check()
                .is_err()
        );
    }

    #[test]
    fn answers_are_read_and_what_is_none_is_said() {
        let openai = json!({"model": "m-1", "choices": [{"message": {"content": "hi"},
            "finish_reason": "length"}], "usage": {"prompt_tokens": 3, "completion_tokens": 1}});
        let read = reply(Protocol::OpenAi, &openai).unwrap();
        assert_eq!((read.text.as_str(), read.input_tokens, read.cut), ("hi", Some(3), true));
        let anthropic = json!({"model": "c", "content": [{"type": "thinking", "text": "x"},
            {"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
            "usage": {"input_tokens": 5, "cache_read_input_tokens": 2, "output_tokens": 4}});
        let read = reply(Protocol::Anthropic, &anthropic).unwrap();
        assert_eq!((read.text.as_str(), read.input_tokens), ("ab", Some(7)));
        for bad in
            [json!({}), json!([]), json!("x"), json!({"choices": []}), json!({"choices": [1]})]
        {
            assert!(reply(Protocol::OpenAi, &bad).is_err(), "{bad}");
            assert!(reply(Protocol::Anthropic, &bad).is_err(), "{bad}");
        }
        assert_eq!(complaint(r#"{"error": {"message": "no  such\nmodel"}}"#), "no such model");
        assert_eq!(complaint("<html>down</html>"), "<html>down</html>");
    }
}
