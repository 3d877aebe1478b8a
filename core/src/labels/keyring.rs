//! The system's keyring. An error is a sentence of why it cannot be used.
//!
//! On Linux and its like this is the desktop's Secret Service, spoken to over D-Bus with the crate
//! that the window uses for its dialogs anyway; elsewhere it is the system's own store.

#[cfg(all(unix, not(target_os = "macos")))]
pub(super) use secret_service::{delete, read, write};

#[cfg(any(windows, target_os = "macos"))]
pub(super) use native::{delete, read, write};

/// Under what the program's entries stand.
const SERVICE: &str = "sparsescope";

#[cfg(any(windows, target_os = "macos"))]
mod native {
    use super::SERVICE;
    use keyring::{Entry, Error};

    fn entry(name: &str) -> Result<Entry, String> {
        Entry::new(SERVICE, name).map_err(said)
    }

    /// An error of the store without what it may hold of the entry itself.
    fn said(error: Error) -> String {
        match error {
            Error::NoDefaultStore => "this system has no keyring that can be reached".into(),
            Error::NoStorageAccess(_) => "the keyring is locked".into(),
            Error::BadEncoding(_) | Error::BadDataFormat(..) => "the entry is no text".into(),
            error => format!("the keyring answers: {error}"),
        }
    }

    /// The entry of this name; `None` if there is none.
    pub fn read(name: &str) -> Result<Option<String>, String> {
        match entry(name)?.get_password() {
            Ok(text) => Ok(Some(text)),
            Err(Error::NoEntry) => Ok(None),
            Err(error) => Err(said(error)),
        }
    }

    /// Keeps an entry.
    pub fn write(name: &str, text: &str) -> Result<(), String> {
        entry(name)?.set_password(text).map_err(said)
    }

    /// Takes an entry out.
    pub fn delete(name: &str) -> Result<(), String> {
        match entry(name)?.delete_credential() {
            Ok(()) | Err(Error::NoEntry) => Ok(()),
            Err(error) => Err(said(error)),
        }
    }
}

#[cfg(all(unix, not(target_os = "macos")))]
mod secret_service {
    use super::SERVICE;
    use async_io::{Timer, block_on};
    use futures_lite::{FutureExt as _, StreamExt as _};
    use std::collections::HashMap;
    use std::time::Duration;
    use zbus::zvariant::{OwnedObjectPath, OwnedValue, Value};
    use zbus::{Connection, Proxy};

    const BUS: &str = "org.freedesktop.secrets";
    const ROOT: &str = "/org/freedesktop/secrets";

    /// How long the keyring may take; a person may have to type a password meanwhile.
    const PATIENCE: Duration = Duration::from_secs(60);

    /// A secret as it travels: session, parameters, value, kind of value.
    type Secret = (OwnedObjectPath, Vec<u8>, Vec<u8>, String);

    fn said(error: &zbus::Error) -> String {
        match error {
            zbus::Error::MethodError(name, text, _) => {
                let text = text.clone().unwrap_or_else(|| name.to_string());
                if name.ends_with("ServiceUnknown") {
                    "no keyring runs in this session".into()
                } else {
                    format!("the keyring answers: {text}")
                }
            }
            zbus::Error::Failure(text) => text.clone(),
            _ => "this session has no keyring that can be reached".into(),
        }
    }

    fn within<T>(work: impl Future<Output = zbus::Result<T>>) -> Result<T, String> {
        let late = async {
            Timer::after(PATIENCE).await;
            Err("the keyring does not answer".to_owned())
        };
        block_on(async { work.await.map_err(|e| said(&e)) }.or(late))
    }

    struct Keyring {
        bus: Connection,
        session: OwnedObjectPath,
    }

    impl Keyring {
        async fn open() -> zbus::Result<Self> {
            let bus = Connection::session().await?;
            let service = Proxy::new(&bus, BUS, ROOT, "org.freedesktop.Secret.Service").await?;
            // The bus of a session is this user's alone: what passes there needs no cipher.
            let (_, session): (OwnedValue, OwnedObjectPath) =
                service.call("OpenSession", &("plain", Value::from(""))).await?;
            Ok(Self { bus, session })
        }

        async fn at(&self, path: &str, interface: &str) -> zbus::Result<Proxy<'static>> {
            let (path, interface) =
                (path.to_owned(), format!("org.freedesktop.Secret.{interface}"));
            Proxy::new(&self.bus, BUS, path, interface).await
        }

        /// Has the person answer what the keyring asks, if it asks; whether they agreed.
        async fn prompted(&self, prompt: &OwnedObjectPath) -> zbus::Result<bool> {
            if prompt.as_str() == "/" {
                return Ok(true);
            }
            let prompt = self.at(prompt.as_str(), "Prompt").await?;
            let mut done = prompt.receive_signal("Completed").await?;
            let () = prompt.call("Prompt", &("",)).await?;
            let Some(answer) = done.next().await else { return Ok(false) };
            let (dismissed, _): (bool, OwnedValue) = answer.body().deserialize()?;
            Ok(!dismissed)
        }

        async fn unlock(&self, object: &OwnedObjectPath) -> zbus::Result<bool> {
            let service = self.at(ROOT, "Service").await?;
            let (_, prompt): (Vec<OwnedObjectPath>, OwnedObjectPath) =
                service.call("Unlock", &(vec![object],)).await?;
            self.prompted(&prompt).await
        }

        /// The entry of this name, unlocked.
        async fn find(&self, name: &str) -> zbus::Result<Option<OwnedObjectPath>> {
            let service = self.at(ROOT, "Service").await?;
            let (open, locked): (Vec<OwnedObjectPath>, Vec<OwnedObjectPath>) =
                service.call("SearchItems", &(attributes(name),)).await?;
            if let Some(item) = open.into_iter().next() {
                return Ok(Some(item));
            }
            let Some(item) = locked.into_iter().next() else { return Ok(None) };
            let open = self.unlock(&item).await?;
            if open { Ok(Some(item)) } else { Err(locked_still()) }
        }
    }

    fn locked_still() -> zbus::Error {
        zbus::Error::Failure("the keyring is locked".into())
    }

    fn attributes(name: &str) -> HashMap<&str, &str> {
        HashMap::from([("service", SERVICE), ("username", name)])
    }

    /// The entry of this name; `None` if there is none.
    pub fn read(name: &str) -> Result<Option<String>, String> {
        let bytes = within(async {
            let keyring = Keyring::open().await?;
            let Some(item) = keyring.find(name).await? else { return Ok(None) };
            let item = keyring.at(item.as_str(), "Item").await?;
            let (secret,): (Secret,) = item.call("GetSecret", &(&keyring.session,)).await?;
            Ok(Some(secret.2))
        })?;
        bytes.map(|b| String::from_utf8(b).map_err(|_| "the entry is no text".into())).transpose()
    }

    /// Keeps an entry.
    pub fn write(name: &str, text: &str) -> Result<(), String> {
        within(async {
            let keyring = Keyring::open().await?;
            let service = keyring.at(ROOT, "Service").await?;
            let (collection,): (OwnedObjectPath,) =
                service.call("ReadAlias", &("default",)).await?;
            if collection.as_str() == "/" {
                return Err(zbus::Error::Failure("there is no default keyring".into()));
            }
            if !keyring.unlock(&collection).await? {
                return Err(locked_still());
            }
            let collection = keyring.at(collection.as_str(), "Collection").await?;
            let properties: HashMap<&str, Value<'_>> = HashMap::from([
                ("org.freedesktop.Secret.Item.Label", Value::from(format!("{SERVICE}: {name}"))),
                ("org.freedesktop.Secret.Item.Attributes", Value::from(attributes(name))),
            ]);
            let secret: Secret = (
                keyring.session.clone(),
                Vec::new(),
                text.as_bytes().to_vec(),
                "text/plain".to_owned(),
            );
            let (_, prompt): (OwnedObjectPath, OwnedObjectPath) =
                collection.call("CreateItem", &(properties, secret, true)).await?;
            if keyring.prompted(&prompt).await? { Ok(()) } else { Err(locked_still()) }
        })
    }

    /// Takes an entry out.
    pub fn delete(name: &str) -> Result<(), String> {
        within(async {
            let keyring = Keyring::open().await?;
            let Some(item) = keyring.find(name).await? else { return Ok(()) };
            let item = keyring.at(item.as_str(), "Item").await?;
            let (prompt,): (OwnedObjectPath,) = item.call("Delete", &()).await?;
            if keyring.prompted(&prompt).await? { Ok(()) } else { Err(locked_still()) }
        })
    }
}
