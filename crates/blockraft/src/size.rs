//! Numbers of bytes, as people write and read them.

/// Reads `262144`, `256KiB`, `1MiB`, `1MB`; spaces and case don't matter.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "kb" => 1_000,
        "m" | "mib" => 1 << 20,
        "mb" => 1_000_000,
        "g" | "gib" => 1 << 30,
        "gb" => 1_000_000_000,
        _ => return Err("expected a number of bytes, such as 262144, 256KiB or 1MiB".to_owned()),
    };
    let number: u64 = number.parse().map_err(|_| "expected a number of bytes, such as 262144 or 1MiB".to_owned())?;
    number.checked_mul(unit).ok_or_else(|| "more bytes than fit into 64 bits".to_owned())
}

/// Writes `17 B`, `2.5 KiB`, `1.2 GiB`.
pub(crate) fn human(bytes: u64) -> String {
    let mut amount = bytes as f64;
    let mut unit = "B";
    for next in ["KiB", "MiB", "GiB", "TiB"] {
        if amount < 1_024.0 {
            break;
        }
        amount /= 1_024.0;
        unit = next;
    }
    if unit == "B" { format!("{bytes} B") } else { format!("{amount:.1} {unit}") }
}

#[cfg(test)]
mod tests;
