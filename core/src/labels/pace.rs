//! How fast a server may be asked, and how long to wait after it refused.

use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::time::Duration;

/// How fast a server may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Requests a minute at most.
    pub requests_a_minute: u32,
    /// Tokens a minute at most, those it may answer with included.
    pub tokens_a_minute: u64,
    /// Requests under way at the same time.
    pub at_once: usize,
    /// Times a request is sent at most.
    pub tries: u32,
    /// Seconds an answer may take.
    pub patience: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { requests_a_minute: 50, tokens_a_minute: 30_000, at_once: 4, tries: 6, patience: 180 }
    }
}

const MINUTE: Duration = Duration::from_secs(60);

/// Keeps requests and tokens of any minute within their limits.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// When something was sent in the last minute, and how many tokens.
    sent: VecDeque<(Duration, u64)>,
    /// Nothing is sent before: the server asked for rest.
    rest_until: Duration,
}

impl Pace {
    /// How long to wait at `now` before a request of so many tokens; zero if it may be sent.
    /// A request of more tokens than a minute allows goes alone.
    pub fn delay(&mut self, limits: &Limits, now: Duration, tokens: u64) -> Duration {
        while self.sent.front().is_some_and(|(at, _)| now >= *at + MINUTE) {
            self.sent.pop_front();
        }
        let mut delay = self.rest_until.saturating_sub(now);
        let most = limits.requests_a_minute.max(1) as usize;
        if self.sent.len() >= most {
            delay = delay.max(self.sent[self.sent.len() - most].0 + MINUTE - now);
        }
        let mut held: u64 = self.sent.iter().map(|(_, tokens)| tokens).sum();
        for (at, tokens_then) in &self.sent {
            if held.saturating_add(tokens) <= limits.tokens_a_minute {
                break;
            }
            held -= tokens_then;
            delay = delay.max(*at + MINUTE - now);
        }
        delay
    }

    /// Notes that a request was sent.
    pub fn note(&mut self, now: Duration, tokens: u64) {
        self.sent.push_back((now, tokens));
    }

    /// Nothing is sent before `until`.
    pub fn rest(&mut self, until: Duration) {
        self.rest_until = self.rest_until.max(until);
    }
}

/// How long to wait before the next try, after `tries` of them: what the server asked for, or
/// 1 s · 2^(tries − 1) up to 60 s; up to a quarter more of it, so that many do not come back at
/// once. `jitter` is from 0 to 1.
pub(super) fn backoff(tries: u32, asked: Option<Duration>, jitter: f64) -> Duration {
    let own = Duration::from_secs(1 << tries.saturating_sub(1).min(6)).min(MINUTE);
    let base = asked.map_or(own, |asked| asked.min(Duration::from_secs(600)));
    base.mul_f64(1.0 + 0.25 * jitter.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    proptest! {
        #[test]
        fn no_minute_holds_more_than_allowed(
            tokens in prop::collection::vec(1u64..400, 1..80), requests in 1u32..20,
        ) {
            let limits = Limits { requests_a_minute: requests, tokens_a_minute: 1000, ..Limits::default() };
            let (mut pace, mut now, mut sent) = (Pace::default(), Duration::ZERO, Vec::new());
            for n in tokens {
                now += pace.delay(&limits, now, n);
                prop_assert_eq!(pace.delay(&limits, now, n), Duration::ZERO);
                pace.note(now, n);
                sent.push((now, n));
                now += Duration::from_millis(n);
            }
            for (start, _) in &sent {
                let minute = sent.iter().filter(|(at, _)| at >= start && *at < *start + MINUTE);
                let (mut count, mut held) = (0, 0);
                minute.for_each(|(_, n)| { count += 1; held += n; });
                prop_assert!(count <= requests && held <= 1000, "{count} requests, {held} tokens");
            }
        }
    }

    #[test]
    fn a_server_that_asks_for_rest_has_it() {
        let (limits, mut pace) = (Limits::default(), Pace::default());
        pace.rest(seconds(9));
        assert_eq!(pace.delay(&limits, seconds(2), 1), seconds(7));
        assert_eq!(pace.delay(&limits, seconds(9), 1), Duration::ZERO);
        // More than a minute allows goes alone rather than never.
        assert_eq!(pace.delay(&limits, seconds(9), u64::MAX), Duration::ZERO);
    }

    #[test]
    fn waits_grow_and_heed_the_server() {
        let of = |n| backoff(n, None, 0.0).as_secs();
        assert_eq!([of(1), of(2), of(3), of(6), of(7), of(40)], [1, 2, 4, 32, 60, 60]);
        assert_eq!(backoff(1, Some(seconds(7)), 0.0), seconds(7));
        assert_eq!(backoff(1, Some(seconds(8)), 1.0), seconds(10));
        assert_eq!(backoff(1, Some(seconds(1 << 40)), 0.0), seconds(600));
    }
}
