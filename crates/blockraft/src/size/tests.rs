use super::*;

#[test]
fn sizes_are_read_with_and_without_a_unit() {
    for (text, bytes) in
        [("0", 0), ("7b", 7), ("256KiB", 262_144), ("1 MiB", 1 << 20), ("2mb", 2_000_000), ("1g", 1 << 30)]
    {
        assert_eq!(parse(text), Ok(bytes), "{text}");
    }
}

#[test]
fn what_is_no_size_is_refused() {
    for text in ["", "MiB", "-1", "1.5MiB", "1 parsec", "99999999999999999999", "18446744073709551615g"] {
        assert!(parse(text).is_err(), "{text}");
    }
}

#[test]
fn sizes_are_written_for_people() {
    assert_eq!(human(17), "17 B");
    assert_eq!(human(2_560), "2.5 KiB");
    assert_eq!(human(3 << 30), "3.0 GiB");
}
