//! Numbers as people read them.

use std::time::Duration;

/// `12,345`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `12.3 MB`, in decimal units as disks and networks are sold.
pub(crate) fn bytes(number: u64) -> String {
    let number = number as f64;
    match number {
        0.0..1e3 => format!("{number} B"),
        1e3..1e6 => format!("{:.1} kB", number / 1e3),
        1e6..1e9 => format!("{:.1} MB", number / 1e6),
        _ => format!("{:.2} GB", number / 1e9),
    }
}

/// `850 ms`, `12.3 s`, `2 min 5 s`.
pub(crate) fn time(time: Duration) -> String {
    match time.as_millis() {
        0..1_000 => format!("{} ms", time.as_millis()),
        1_000..120_000 => format!("{:.1} s", time.as_secs_f64()),
        _ => format!("{} min {} s", time.as_secs() / 60, time.as_secs() % 60),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{bytes, count, time};

    #[test]
    fn numbers_read_well() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(
            [0, 999, 1_500, 2_000_000, 3_210_000_000].map(bytes),
            ["0 B", "999 B", "1.5 kB", "2.0 MB", "3.21 GB"]
        );
        assert_eq!([5, 1_500, 125_000].map(|ms| time(Duration::from_millis(ms))), ["5 ms", "1.5 s", "2 min 5 s"]);
    }
}
