//! The bytes of every message in every version, for ever. `BLESS=1 cargo test -p blockraft-wire` writes new ones.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use bytes::Bytes;

use crate::samples::{Sample, fixed};

#[test]
#[expect(clippy::disallowed_methods, reason = "blessing writes the golden files")]
fn the_bytes_of_a_version_never_change() {
    for (name, sample) in fixed() {
        let path = folder().join(file_of(&name, &sample));
        let frame = sample.encode().unwrap();
        if std::env::var_os("BLESS").is_some() {
            fs::create_dir_all(folder()).unwrap();
            fs::write(&path, hex(&frame)).unwrap();
        }
        let golden = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(hex(&frame), golden, "{name} is written in other bytes than version 1 had");
        assert_eq!(Sample::decode(sample.kind(), unhex(&golden)).unwrap(), sample, "{name} is read as something else");
    }
}

#[test]
fn every_golden_file_has_a_message() {
    let expected: BTreeSet<String> = fixed().iter().map(|(name, sample)| file_of(name, sample)).collect();
    let found = fs::read_dir(folder()).unwrap();
    let found = found.map(|file| file.unwrap().file_name().into_string().unwrap()).collect::<BTreeSet<_>>();
    assert_eq!(found, expected);
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn file_of(name: &str, sample: &Sample) -> String {
    format!("{name}.v{}.hex", sample.kind().version())
}

fn hex(bytes: &[u8]) -> String {
    let lines = bytes.chunks(32).map(|line| line.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + "\n");
    lines.collect()
}

fn unhex(text: &str) -> Bytes {
    let digits: Vec<u8> = text.bytes().filter(|digit| !digit.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}
