//! Keys of paid servers: read where they are kept, shown nowhere.

use crate::error::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Where the key of a server is found. This names a place; the key itself is in no file of ours.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeySource {
    /// The server asks for none.
    #[default]
    None,
    /// The environment variable of this name or, if it is not set, the entry of this name in the
    /// system's keyring.
    Named(String),
}

/// A key. It can be sent; it cannot be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(String);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(hidden)")
    }
}

impl Key {
    /// A key as it was typed; white space around it is dropped.
    ///
    /// # Errors
    /// It is empty, or holds characters that no key has.
    pub fn new(text: &str) -> Result<Self> {
        let text = text.trim();
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(Error::setting(
                "The key cannot be used",
                "it is empty, or holds spaces or characters that no key has",
                "Copy it again from the page of the service that gave it",
            ));
        }
        Ok(Self(text.to_owned()))
    }

    /// The key itself, for the header it is sent in.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }

    /// `text` without the key, should a server have repeated it.
    pub(super) fn scrub(&self, text: &str) -> String {
        text.replace(&self.0, "(key)")
    }
}

impl KeySource {
    /// Reads the key, if the server asks for one.
    ///
    /// # Errors
    /// It is in neither place, or cannot be used.
    pub fn read(&self) -> Result<Option<Key>> {
        let Self::Named(name) = self else { return Ok(None) };
        check_name(name)?;
        match std::env::var(name) {
            Ok(text) if !text.trim().is_empty() => return Key::new(&text).map(Some),
            _ => {}
        }
        let unset = format!("the environment variable {name} is not set");
        match super::keyring::read(name) {
            Ok(Some(text)) => Key::new(&text).map(Some),
            Ok(None) => Err(no_key(name, format!("{unset}, and the keyring has no such entry"))),
            Err(why) => Err(no_key(name, format!("{unset}, and {why}"))),
        }
    }

    /// Where the key is now, in words for the screen: "in the environment", "in the keyring".
    /// Looks, and may wait for the keyring.
    pub fn found(&self) -> Result<&'static str> {
        let Self::Named(name) = self else { return Ok("no key") };
        self.read()?;
        let set = std::env::var(name).is_ok_and(|text| !text.trim().is_empty());
        Ok(if set { "in the environment" } else { "in the keyring" })
    }
}

/// Keeps a key in the system's keyring under `name`.
///
/// # Errors
/// The system has no keyring, or it refuses.
pub fn keep_key(name: &str, key: &Key) -> Result<()> {
    check_name(name)?;
    super::keyring::write(name, key.expose()).map_err(|why| {
        Error::new(
            ErrorKind::Io,
            "Could not keep the key in the keyring",
            why,
            format!("Set the environment variable {name} before you start the program"),
        )
    })
}

/// Takes a key out of the system's keyring; it need not be there.
///
/// # Errors
/// The system has no keyring, or it refuses.
pub fn forget_key(name: &str) -> Result<()> {
    check_name(name)?;
    super::keyring::delete(name).map_err(|why| {
        Error::new(ErrorKind::Io, "Could not take the key out of the keyring", why, "Try again")
    })
}

/// A name that could be a key itself is refused before it is written anywhere.
fn check_name(name: &str) -> Result<()> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if !name.is_empty() && name.len() <= 64 && name.chars().all(fits) {
        return Ok(());
    }
    Err(Error::setting(
        "The key's name cannot be used",
        "it names an environment variable: letters, digits and underscores, 64 at most",
        "Write the name, such as OPENAI_API_KEY, and not the key itself",
    ))
}

fn no_key(name: &str, why: String) -> Error {
    Error::setting(
        format!("There is no key {name}"),
        why,
        format!("Set {name} before you start the program, or keep the key in the keyring"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_never_printed() {
        let key = Key::new(" sk-secret-123\n").unwrap();
        assert_eq!(key.expose(), "sk-secret-123");
        assert!(!format!("{key:?} {:?}", Some(&key)).contains("secret"));
        assert_eq!(key.scrub("no sk-secret-123 here"), "no (key) here");
        for bad in ["", " \n", "two words", "ключ"] {
            let error = Key::new(bad).unwrap_err();
            assert!(bad.trim().is_empty() || !error.to_string().contains(bad), "{error}");
        }
    }

    /// Where `SPARSESCOPE_KEYRING` says that there is a keyring that may be written to.
    #[test]
    fn a_key_is_kept_in_the_keyring_and_taken_out() {
        let name = "SPARSESCOPE_TEST_KEYRING_ENTRY";
        let source = KeySource::Named(name.into());
        let before = source.read().unwrap_err();
        if std::env::var_os("SPARSESCOPE_KEYRING").is_none() {
            return;
        }
        assert!(before.why.contains("no such entry"), "{before}");
        for text in ["sk-one", "sk-two"] {
            let key = Key::new(text).unwrap();
            keep_key(name, &key).unwrap();
            assert_eq!(source.read().unwrap(), Some(key));
            assert_eq!(source.found().unwrap(), "in the keyring");
        }
        forget_key(name).unwrap();
        forget_key(name).unwrap();
        assert!(source.read().is_err());
    }

    #[test]
    fn a_key_in_the_place_of_its_name_is_refused_and_not_repeated() {
        let error = KeySource::Named("sk-ant-secret".into()).read().unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
        assert_eq!(KeySource::None.read().unwrap(), None);
        let error = KeySource::Named("SPARSESCOPE_NO_SUCH_KEY".into()).read().unwrap_err();
        assert!(error.why.contains("not set"), "{error}");
    }
}
