//! Numbers, sizes and times as the window writes them.

use std::time::Duration;

/// A thin space: groups of digits stay together and are told apart.
const THIN: char = '\u{2009}';

/// Every digit, in groups of three: `1 234 567`.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() * 2);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(THIN);
        }
        out.push(digit);
    }
    out
}

/// A count in three figures and a letter: `842`, `12.3 k`, `1.24 M`.
pub fn count(n: f64) -> String {
    let (scaled, letter) = match n.abs() {
        a if a >= 0.9995e9 => (n / 1e9, " G"),
        a if a >= 0.9995e6 => (n / 1e6, " M"),
        a if a >= 999.5 => (n / 1e3, " k"),
        _ => (n, ""),
    };
    let decimals = match scaled.abs() {
        a if letter.is_empty() && (n.fract() == 0.0 || a >= 99.95) => 0,
        a if a >= 99.95 => 0,
        a if a >= 9.995 => 1,
        _ => 2,
    };
    format!("{scaled:.decimals$}{letter}")
}

/// Three significant figures: `0.0123`, `4.57`, `1.2e-7`. What is no number is called so.
pub fn figure(x: f64) -> String {
    if !x.is_finite() {
        return "not a number".to_owned();
    }
    match x.abs() {
        0.0 => "0".to_owned(),
        a if a >= 1000.0 => count(x),
        a if a < 1e-4 => format!("{x:.1e}"),
        a => {
            let decimals = (2 - a.log10().floor() as i32).clamp(0, 6) as usize;
            format!("{x:.decimals$}")
        }
    }
}

/// A share as a percentage: `97.3 %`.
pub fn percent(share: f64) -> String {
    match (share * 100.0).abs() {
        0.0 => "0 %".to_owned(),
        p if p < 0.0001 => format!("{:.1e} %", share * 100.0),
        p if p < 0.01 => format!("{:.4} %", share * 100.0),
        p if p < 1.0 => format!("{:.2} %", share * 100.0),
        _ => format!("{:.1} %", share * 100.0),
    }
}

/// A size in binary units: `1.4 MiB`.
pub fn bytes(n: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut scaled = n as f64;
    let mut unit = 0;
    while scaled >= 1000.0 && unit + 1 < UNITS.len() {
        scaled /= 1024.0;
        unit += 1;
    }
    let decimals = usize::from(unit > 0 && scaled < 99.95);
    format!("{scaled:.decimals$} {}", UNITS[unit])
}

/// A stretch of time: `4 s`, `3 min 20 s`, `2 h 05 min`.
pub fn duration(time: Duration) -> String {
    let s = time.as_secs();
    match s {
        0..60 => format!("{s} s"),
        60..3600 => format!("{} min {:02} s", s / 60, s % 60),
        _ => format!("{} h {:02} min", s / 3600, s / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_keep_three_figures() {
        assert_eq!(grouped(1_234_567).replace(THIN, " "), "1 234 567");
        assert_eq!(grouped(7), "7");
        assert_eq!([0.0, 842.0, 999.0].map(count), ["0", "842", "999"]);
        assert_eq!([12_345.0, 999_800.0, 1.24e6].map(count), ["12.3 k", "1.00 M", "1.24 M"]);
        assert_eq!([0.0123, 4.567, 0.0].map(figure), ["0.0123", "4.57", "0"]);
        assert_eq!(figure(1.2e-7), "1.2e-7");
        assert_eq!(figure(f64::NAN), "not a number");
        assert_eq!(percent(0.973), "97.3 %");
    }

    #[test]
    fn sizes_and_times_read_as_people_say_them() {
        assert_eq!([12, 1_468_006, 5 << 30].map(bytes), ["12 B", "1.4 MiB", "5.0 GiB"]);
        let times = [4, 200, 7500].map(|s| duration(Duration::from_secs(s)));
        assert_eq!(times, ["4 s", "3 min 20 s", "2 h 05 min"]);
    }
}
