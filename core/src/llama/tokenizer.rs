//! Text to tokens and back, through a `tokenizer.json`.

use super::chat::{ChatTemplate, Message};
use crate::error::{Error, Result};
use serde_json::Value;
use std::collections::HashMap;
use tokenizers::Tokenizer;

/// A model's tokenizer.
///
/// It never adds a token by itself: whether a text begins with BOS is said at each call.
#[derive(Debug)]
pub struct TokenizerHandle {
    inner: Tokenizer,
    bos: Option<u32>,
    texts: Vec<String>,
    kind: String,
    chat: Option<ChatTemplate>,
}

impl TokenizerHandle {
    /// A tokenizer from the text of `tokenizer.json`, for a model of `vocab` tokens.
    ///
    /// `settings` is the text of `tokenizer_config.json`, where the name of BOS is looked up first,
    /// and the chat template; `bos` is the token that the model's configuration names.
    ///
    /// # Errors
    /// The file is none, or has a token that the model does not know.
    pub fn from_bytes(
        json: &[u8],
        settings: Option<&[u8]>,
        bos: Option<u32>,
        vocab: usize,
    ) -> Result<Self> {
        let value: Value = serde_json::from_slice(json).map_err(|e| unreadable(&e.to_string()))?;
        let mut inner = Tokenizer::from_bytes(json).map_err(|e| unreadable(&e.to_string()))?;
        // A saved tokenizer may cut or fill up what it is given, unasked.
        inner.with_truncation(None).map_err(|e| unreadable(&e.to_string()))?;
        inner.with_padding(None);
        let all = inner.get_vocab(true);
        if let Some((token, id)) = all.iter().max_by_key(|(_, id)| **id)
            && *id as usize >= vocab
        {
            return Err(Error::format(
                "The tokenizer does not fit the model",
                format!(
                    "it has the token {token:?} with number {id}, and the model has {vocab} tokens"
                ),
                "Use the tokenizer.json that belongs to the model",
            ));
        }
        let added: Vec<u32> = inner.get_added_tokens_decoder().keys().copied().collect();
        let texts = texts(&all, &added, is_byte_level(&value), vocab);
        let settings = settings.map(settings_of).transpose()?.unwrap_or_default();
        let bos = bos_name(&settings)
            .and_then(|name| inner.token_to_id(&name))
            .or(bos)
            .filter(|&id| (id as usize) < vocab);
        let kind = kind(&value);
        let bos_text = bos.and_then(|id| inner.id_to_token(id)).unwrap_or_default();
        let chat = ChatTemplate::find(&settings, None, &bos_text);
        Ok(Self { inner, bos, texts, kind, chat })
    }

    /// The same with the chat template of a file `chat_template.jinja`, which goes before that of
    /// `tokenizer_config.json`.
    ///
    /// # Errors
    /// `settings` is no JSON.
    pub fn with_chat_template(mut self, jinja: &str, settings: Option<&[u8]>) -> Result<Self> {
        let settings = settings.map(settings_of).transpose()?.unwrap_or_default();
        let bos = self.bos.and_then(|id| self.inner.id_to_token(id)).unwrap_or_default();
        self.chat = ChatTemplate::find(&settings, Some(jinja), &bos);
        Ok(self)
    }

    /// Whether the model has a chat template.
    pub fn has_chat_template(&self) -> bool {
        self.chat.is_some()
    }

    /// A conversation as the model's chat template writes it, up to where the assistant's answer
    /// begins; to be encoded without BOS, which the template writes where it is due.
    ///
    /// # Errors
    /// The model has no chat template; it does not render (says in which line); no messages.
    pub fn chat(&self, messages: &[Message]) -> Result<String> {
        let template = self.chat.as_ref().ok_or_else(|| {
            Error::setting(
                "The model cannot be talked to",
                "it has no chat template, neither in its tokenizer_config.json nor in a \
                 chat_template.jinja",
                "Give the prompt as plain text, or put the template of the model into its folder",
            )
        })?;
        template.render(messages)
    }

    /// The tokens of a text, with BOS in front if `bos` (and if the model has one). Special tokens
    /// written in the text become their tokens.
    ///
    /// # Errors
    /// The tokenizer cannot express the text.
    pub fn encode(&self, text: &str, bos: bool) -> Result<Vec<u32>> {
        let encoding = self.inner.encode_fast(text, false).map_err(|e| {
            Error::format(
                "The text cannot be cut into tokens",
                e.to_string(),
                "Use the tokenizer.json that belongs to the model",
            )
        })?;
        let front = self.bos.filter(|_| bos);
        Ok(front.into_iter().chain(encoding.get_ids().iter().copied()).collect())
    }

    /// The text of tokens; special tokens (BOS, EOS) are left out.
    ///
    /// # Errors
    /// The tokenizer cannot decode them.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        self.inner.decode(ids, true).map_err(|e| {
            Error::format(
                "The tokens cannot be turned into text",
                e.to_string(),
                "Use the tokenizer.json that belongs to the model",
            )
        })
    }

    /// A token as it should be drawn: a leading space is a space, a newline `↵`, a tab `⇥`, a byte
    /// that is no character by itself `⟨E2⟩`. A number the tokenizer has no token for is `⟨#N⟩`.
    pub fn token_text(&self, id: u32) -> &str {
        self.texts.get(id as usize).map_or("⟨?⟩", String::as_str)
    }

    /// The token that begins a text.
    pub fn bos(&self) -> Option<u32> {
        self.bos
    }

    /// Number of tokens it has.
    pub fn vocab(&self) -> usize {
        self.inner.get_vocab_size(true)
    }

    /// What it is: `BPE, 512 tokens`.
    pub fn kind(&self) -> String {
        format!("{}, {} tokens", self.kind, self.vocab())
    }

    /// The token of exactly this text in the vocabulary (`▁the`, `<s>`).
    pub fn token_id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }
}

/// A `tokenizer_config.json`.
fn settings_of(text: &[u8]) -> Result<Value> {
    serde_json::from_slice(text).map_err(|e| {
        Error::format(
            "tokenizer_config.json cannot be read",
            e.to_string(),
            "Download the model again, or remove the file",
        )
    })
}

/// Its `bos_token`: a string or an object with `content`.
fn bos_name(settings: &Value) -> Option<String> {
    let bos = settings.get("bos_token");
    let name = bos.and_then(Value::as_str).or_else(|| bos?.get("content")?.as_str());
    name.map(str::to_owned)
}

fn kind(json: &Value) -> String {
    let model = json.pointer("/model/type").and_then(Value::as_str).unwrap_or("BPE");
    model.to_owned()
}

/// Whether tokens are spelt in GPT-2's alphabet of bytes.
fn is_byte_level(json: &Value) -> bool {
    fn mentions(value: &Value) -> bool {
        match value {
            Value::Object(map) => {
                map.get("type").and_then(Value::as_str) == Some("ByteLevel")
                    || map.values().any(mentions)
            }
            Value::Array(list) => list.iter().any(mentions),
            _ => false,
        }
    }
    json.get("decoder").is_some_and(mentions) || json.get("pre_tokenizer").is_some_and(mentions)
}

fn texts(all: &HashMap<String, u32>, added: &[u32], byte_level: bool, vocab: usize) -> Vec<String> {
    let bytes = byte_alphabet();
    let mut texts: Vec<String> = (0..vocab).map(|id| format!("⟨#{id}⟩")).collect();
    for (token, &id) in all {
        let Some(text) = texts.get_mut(id as usize) else { continue };
        *text = if added.contains(&id) {
            visible(token)
        } else if byte_level {
            let raw: Vec<u8> = token
                .chars()
                .flat_map(|c| match bytes.get(&c) {
                    Some(byte) => vec![*byte],
                    None => c.to_string().into_bytes(),
                })
                .collect();
            drawn(&raw)
        } else {
            match byte_token(token) {
                Some(byte) => drawn(&[byte]),
                None => visible(&token.replace('▁', " ")),
            }
        };
    }
    texts
}

/// The byte of `<0xE2>`.
fn byte_token(token: &str) -> Option<u8> {
    let digits = token.strip_prefix("<0x")?.strip_suffix('>')?;
    let two = digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    two.then(|| u8::from_str_radix(digits, 16).ok())?
}

/// GPT-2's alphabet: printable bytes stand for themselves, the others for characters from 256 on.
fn byte_alphabet() -> HashMap<char, u8> {
    let printable = |b: u8| matches!(b, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    let mut next = 256;
    (0..=255u8)
        .map(|b| {
            let code = if printable(b) {
                u32::from(b)
            } else {
                next += 1;
                next - 1
            };
            (char::from_u32(code).unwrap_or(' '), b)
        })
        .collect()
}

/// Bytes as text, those that are no whole character in brackets.
fn drawn(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.utf8_chunks() {
        out.push_str(&visible(chunk.valid()));
        for byte in chunk.invalid() {
            out.push_str(&format!("⟨{byte:02X}⟩"));
        }
    }
    out
}

/// Control characters made visible.
fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push('↵'),
            '\t' => out.push('⇥'),
            c if c.is_control() => out.push_str(&format!("⟨{:02X}⟩", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

fn unreadable(why: &str) -> Error {
    Error::format(
        "tokenizer.json cannot be read",
        why,
        "Use the tokenizer.json that belongs to the model",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_spaces_are_drawn() {
        assert_eq!(byte_token("<0xE2>"), Some(0xE2));
        assert_eq!(byte_token("<0xE2"), None);
        assert_eq!(byte_token("<0x+2>"), None);
        assert_eq!(drawn(&[0xE2]), "⟨E2⟩");
        assert_eq!(drawn(b"\n"), "↵");
        assert_eq!(drawn(b" a\tb\x01"), " a⇥b⟨01⟩");
        assert_eq!(drawn("한".as_bytes()), "한");
        assert_eq!(drawn(&"한".as_bytes()[..2]), "⟨ED⟩⟨95⟩");
    }

    #[test]
    fn the_byte_alphabet_is_gpt2s() {
        let alphabet = byte_alphabet();
        assert_eq!(alphabet.len(), 256);
        assert_eq!(alphabet[&'Ġ'], b' ');
        assert_eq!(alphabet[&'Ċ'], b'\n');
        assert_eq!(alphabet[&'A'], b'A');
        assert_eq!(alphabet[&'Ń'], 0xAD);
    }
}
