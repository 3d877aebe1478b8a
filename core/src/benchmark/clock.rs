//! Wall-clock and processor time of a stretch of work.

use serde::{Deserialize, Serialize};
use std::time::Instant;

/// Started when made.
#[derive(Debug)]
pub struct Stopwatch {
    wall: Instant,
    cpu: Option<f64>,
}

/// What a stretch of work took.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Lap {
    /// Seconds by the clock on the wall.
    pub seconds: f64,
    /// Seconds of processor time, all threads together, good to 0.01 s; `None` where the system
    /// does not say.
    pub cpu_seconds: Option<f64>,
}

impl Stopwatch {
    /// Starts.
    pub fn start() -> Self {
        Self { wall: Instant::now(), cpu: process_seconds() }
    }

    /// What it took so far.
    pub fn lap(&self) -> Lap {
        let cpu_seconds = process_seconds().zip(self.cpu).map(|(now, then)| now - then);
        Lap { seconds: self.wall.elapsed().as_secs_f64(), cpu_seconds }
    }
}

impl Lap {
    /// The lap in the middle of `laps` by wall clock, and by processor time.
    pub fn median(laps: &[Self]) -> Option<Self> {
        let middle = |mut values: Vec<f64>| {
            values.sort_by(f64::total_cmp);
            values.get(values.len() / 2).copied()
        };
        let seconds = middle(laps.iter().map(|l| l.seconds).collect())?;
        Some(Self {
            seconds,
            cpu_seconds: middle(laps.iter().filter_map(|l| l.cpu_seconds).collect()),
        })
    }
}

/// User and system time of this process, which Linux counts in hundredths of a second.
fn process_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the program's name in brackets and may hold spaces.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_takes_processor_time_and_sleep_does_not() {
        let watch = Stopwatch::start();
        let Some(before) = watch.lap().cpu_seconds else {
            println!("skipped: this system does not say");
            return;
        };
        let mut x = 1_u64;
        while watch.lap().seconds < 0.2 {
            x = std::hint::black_box(x.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 1);
        }
        let after = watch.lap();
        assert!(after.cpu_seconds.unwrap() - before > 0.05, "{after:?}");
    }

    #[test]
    fn the_median_is_in_the_middle() {
        let lap = |seconds| Lap { seconds, cpu_seconds: None };
        assert_eq!(Lap::median(&[lap(3.0), lap(1.0), lap(2.0)]), Some(lap(2.0)));
        assert_eq!(Lap::median(&[]), None);
    }
}
