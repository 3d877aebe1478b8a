//! One request to a server, and what its failure means.

use super::endpoint::{Endpoint, Protocol, complaint};
use super::key::{Key, KeySource};
use crate::error::{Error, ErrorKind, Result};
use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use ureq::Agent;

/// Bytes of an answer at most: the results of a batch of 100,000 requests stay below.
const LONGEST: u64 = 512 << 20;

/// Version of the messages that Anthropic's servers are asked in.
const ANTHROPIC_VERSION: &str = "2023-06-01";

/// Why a request brought nothing.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Trouble {
    /// It may work if it is sent again.
    Again {
        /// A sentence.
        why: String,
        /// How long the server asked to wait.
        after: Option<Duration>,
        /// Whether the server may have answered, and bill for it.
        perhaps_billed: bool,
        /// Whether nobody was there at all.
        nobody: bool,
    },
    /// It will not work as it is; others may.
    Request(String),
    /// None will work until something is changed.
    Endpoint(Error),
}

/// Sends requests to one server.
#[derive(Clone)]
pub(super) struct Http {
    agent: Agent,
    endpoint: Endpoint,
    key: Option<Key>,
}

impl Http {
    /// Reads the key and makes ready to ask; sends nothing.
    pub fn new(endpoint: &Endpoint, patience: Duration) -> Result<Self> {
        endpoint.check()?;
        let key = endpoint.key.read()?;
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            // A key goes to the address that was named and to no other.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(Duration::from_secs(15).min(patience)))
            .timeout_global(Some(patience))
            .user_agent(concat!("sparsescope/", env!("CARGO_PKG_VERSION")));
        if endpoint.is_local() {
            config = config.proxy(None);
        }
        Ok(Self { agent: config.build().new_agent(), endpoint: endpoint.clone(), key })
    }

    /// Sends `body` to `address`, or asks for what is there; returns the answer's text.
    pub fn send(&self, address: &str, body: Option<&str>) -> Result<String, Trouble> {
        let answer = match body {
            Some(body) => {
                let mut request =
                    self.agent.post(address).header("content-type", "application/json");
                for (name, value) in self.headers() {
                    request = request.header(name, value);
                }
                request.send(body)
            }
            None => {
                let mut request = self.agent.get(address);
                for (name, value) in self.headers() {
                    request = request.header(name, value);
                }
                request.call()
            }
        };
        let mut answer = answer.map_err(|e| self.broken(&e, false))?;
        let status = answer.status().as_u16();
        let header = |name: &str| answer.headers().get(name)?.to_str().ok().map(str::to_owned);
        let after = header("retry-after").and_then(|text| retry_after(&text, SystemTime::now()));
        let text = answer.body_mut().with_config().limit(LONGEST).read_to_vec();
        if status == 200 {
            let text = text.map_err(|e| self.broken(&e, true))?;
            return Ok(String::from_utf8_lossy(&text).into_owned());
        }
        let text = text.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        Err(self.refused(status, after, &text.unwrap_or_default()))
    }

    fn headers(&self) -> Vec<(&'static str, String)> {
        let mut headers = Vec::new();
        let key = self.key.as_ref().map(Key::expose);
        match self.endpoint.protocol {
            Protocol::OpenAi => {
                headers.extend(key.map(|k| ("authorization", format!("Bearer {k}"))))
            }
            Protocol::Anthropic => {
                headers.push(("anthropic-version", ANTHROPIC_VERSION.to_owned()));
                headers.extend(key.map(|k| ("x-api-key", k.to_owned())));
            }
        }
        headers
    }

    fn scrub(&self, text: &str) -> String {
        self.key.as_ref().map_or_else(|| text.to_owned(), |key| key.scrub(text))
    }

    /// What a status other than 200 means.
    fn refused(&self, status: u16, after: Option<Duration>, body: &str) -> Trouble {
        let said = self.scrub(&complaint(body));
        let lower = said.to_lowercase();
        let url = &self.endpoint.url;
        let stop = |what: String, why: String, remedy: String| {
            Trouble::Endpoint(Error::new(ErrorKind::Setting, what, why, remedy))
        };
        let unknown_model = lower.contains("model")
            && ["not found", "not exist", "unknown", "invalid model", "not supported"]
                .iter()
                .any(|word| lower.contains(word));
        match status {
            401 | 403 => {
                let (why, remedy) = match &self.endpoint.key {
                    // What such a server says may repeat parts of the key.
                    KeySource::Named(name) => (
                        format!("it does not accept the key {name} (status {status})"),
                        format!("Look whether {name} is right and may use {}", self.endpoint.model),
                    ),
                    KeySource::None => (
                        format!("it asks for a key (status {status})"),
                        "Name the key that it wants".to_owned(),
                    ),
                };
                stop(format!("{url} refused the key"), why, remedy)
            }
            402 => stop(
                format!("{url} wants to be paid first"),
                said,
                "Look at your account there, then go on with the run".into(),
            ),
            429 if lower.contains("quota")
                || lower.contains("credit")
                || lower.contains("billing") =>
            {
                stop(
                    format!("{url} has no credit left for you"),
                    said,
                    "Look at your account there, then go on with the run".into(),
                )
            }
            404 => stop(
                format!("{url} does not know {}", self.endpoint.model),
                format!("{said} (status 404)"),
                "Look at the model's name and at the server's address".into(),
            ),
            400 | 422 if unknown_model => stop(
                format!("{url} does not know {}", self.endpoint.model),
                format!("{said} (status {status})"),
                "Look at the model's name".into(),
            ),
            300..=399 => stop(
                format!("{url} points elsewhere"),
                format!("it answered with status {status}, and keys are not sent on"),
                "Write the address that it is at now".into(),
            ),
            408 | 409 | 425 | 429 | 500..=599 => Trouble::Again {
                why: format!("the server answered with status {status}: {said}"),
                after,
                perhaps_billed: false,
                nobody: false,
            },
            _ => Trouble::Request(format!("the server answered with status {status}: {said}")),
        }
    }

    /// What a connection that failed means.
    fn broken(&self, error: &ureq::Error, answering: bool) -> Trouble {
        let url = &self.endpoint.url;
        let nobody = match error {
            ureq::Error::HostNotFound | ureq::Error::ConnectionFailed => true,
            ureq::Error::Io(e) => e.kind() == io::ErrorKind::ConnectionRefused,
            ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve) => true,
            ureq::Error::Tls(_) | ureq::Error::Rustls(_) | ureq::Error::BadUri(_) => {
                return Trouble::Endpoint(Error::new(
                    ErrorKind::Setting,
                    format!("{url} cannot be spoken to safely"),
                    self.scrub(&error.to_string()),
                    "Look at its address; a local server may want http rather than https",
                ));
            }
            _ => false,
        };
        let why = match error {
            ureq::Error::Timeout(_) => "the server took too long".to_owned(),
            _ if answering => format!("the answer broke off: {error}"),
            _ => format!("the connection failed: {error}"),
        };
        Trouble::Again { why: self.scrub(&why), after: None, perhaps_billed: !nobody, nobody }
    }
}

/// The error to end with when nobody answers.
pub(super) fn nobody(endpoint: &Endpoint, why: &str) -> Error {
    let remedy = if endpoint.is_local() {
        "Start the server, or look at its port; then go on with the run"
    } else {
        "Look at the address and at the network; then go on with the run"
    };
    Error::new(ErrorKind::Io, format!("Nobody answers at {}", endpoint.url), why, remedy)
}

/// How long a server wants to be left alone: seconds, or a date as HTTP writes it.
fn retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    // "Sun, 06 Nov 1994 08:49:37 GMT"
    let mut words = text.trim().split(' ').skip(1);
    let day: i64 = words.next()?.parse().ok()?;
    let name = words.next()?;
    let months =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = months.iter().position(|m| *m == name)? as i64 + 1;
    let year: i64 = words.next()?.parse().ok().filter(|y| (1970..10_000).contains(y))?;
    let mut clock = words.next()?.split(':').map(|part| part.parse::<i64>().ok());
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let days = days(year, month, day);
    let at = days * 86_400 + hour * 3600 + minute * 60 + second;
    let now = now.duration_since(UNIX_EPOCH).ok()?.as_secs() as i64;
    Some(Duration::from_secs((at - now).max(0) as u64))
}

/// Days from 1970 to a date, counted in years that begin in March.
pub(super) fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_read_as_seconds_and_as_dates() {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        assert_eq!(retry_after("7", at(0)), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("0.5", at(0)), Some(Duration::from_millis(500)));
        // 784,111,777 is the example date of the HTTP standard.
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(retry_after(date, at(784_111_770)), Some(Duration::from_secs(7)));
        assert_eq!(retry_after(date, at(784_111_800)), Some(Duration::ZERO));
        assert_eq!(
            retry_after("Thu, 29 Feb 2024 00:00:00 GMT", at(1_709_164_799)),
            Some(Duration::from_secs(1))
        );
        for bad in
            ["", "soon", "-1", "NaN", "Sun, x", "Sun, 06 Foo 1994 08:49:37 GMT", "inf", "1e300"]
        {
            assert_eq!(retry_after(bad, at(0)), None, "{bad}");
        }
    }
}
