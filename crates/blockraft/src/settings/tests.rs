//! Settings: what is wrong is named, and what isn't said keeps its default.

use std::error::Error;
use std::fs;

use blockraft_node::{Identity, NodeConfig};
use blockraft_types::{BootNonce, ClusterId, Incarnation, Membership, NodeId};

use super::{Settings, SettingsError};

fn read(text: &str) -> Result<Settings, SettingsError> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("blockraft.toml");
    fs::write(&file, text).expect("written");
    Settings::read(&file)
}

fn applied(text: &str) -> Result<NodeConfig, SettingsError> {
    let (node, incarnation) = (NodeId(1), Incarnation::from_bytes([1; 16]));
    let identity = Identity { cluster: ClusterId::from_bytes([1; 16]), node, incarnation, boot: BootNonce(1) };
    let mut config = NodeConfig::new(identity, Membership::of_voters([(node, incarnation)]));
    read(text)?.apply(&mut config)?;
    Ok(config)
}

#[test]
fn an_empty_file_changes_nothing() {
    let defaults = applied("").expect("an empty file is fine");
    assert_eq!(defaults.limits, blockraft_node::NodeLimits::default());
    assert_eq!(defaults.driver, blockraft_driver::DriverConfig::default());
}

#[test]
fn half_of_a_bounded_log_is_kept_for_others_unless_said_otherwise() {
    let compaction = |text| applied(text).expect("sound").driver.replica.compaction;
    let small = compaction("log_entries_max = 40\nlog_bytes_max = 1000");
    assert_eq!((small.entries_max, small.entries_kept, small.bytes_max, small.bytes_kept), (40, 20, 1000, 500));
    let own = compaction("log_entries_kept = 7\nlog_bytes_kept = 9\nlog_seconds_max = 2");
    assert_eq!((own.entries_kept, own.bytes_kept, own.ticks_max), (7, 9, 200));
}

#[test]
fn a_node_catches_up_no_faster_than_it_is_told_to() {
    let config = applied("catch_up_bytes_per_second = 5000000").expect("sound");
    assert_eq!(config.exchange.expect("it differs from the default").snapshot_tick_bytes_max, 50_000);
    assert!(matches!(applied("catch_up_bytes_per_second = 999"), Err(SettingsError::OutOfRange { found: 999, .. })));
}

#[test]
fn an_unknown_setting_is_named() {
    let error = read("hartbeat_ms = 50").expect_err("no such setting");
    assert!(matches!(error, SettingsError::Malformed { .. }));
    let cause = error.source().expect("toml says what").to_string();
    assert!(cause.contains("hartbeat_ms"), "{cause}");
}

#[test]
fn a_value_of_another_type_is_refused() {
    for text in ["heartbeat_ms = \"fast\"", "listen = \"nowhere\"", "block_bytes_max = -1", "heartbeat_ms ="] {
        assert!(matches!(read(text), Err(SettingsError::Malformed { .. })), "{text}");
    }
}

#[test]
fn a_missing_file_is_an_error_only_where_one_was_named() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("blockraft.toml");
    assert!(matches!(Settings::read(&file), Err(SettingsError::Io { .. })));
    assert_eq!(Settings::read_if_present(&file).expect("it may be missing"), Settings::default());
}

#[test]
fn sizes_are_taken_at_their_bounds_and_refused_beyond() {
    const BLOCK_BYTES_MAX: u64 = 64 << 20;
    for (bytes, taken) in [(0, false), (1, true), (BLOCK_BYTES_MAX, true), (BLOCK_BYTES_MAX + 1, false)] {
        let config = applied(&format!("block_bytes_max = {bytes}"));
        assert_eq!(config.is_ok(), taken, "{bytes}");
        if let Err(error) = config {
            assert!(
                matches!(error, SettingsError::OutOfRange { setting: "block_bytes_max", found, .. } if found == bytes)
            );
        }
    }
    for (bytes, taken) in [(0, true), (4_096, true), (4_097, false)] {
        let config = applied(&format!("inline_bytes_max = {bytes}"));
        assert_eq!(config.is_ok(), taken, "{bytes}");
    }
}

#[test]
fn times_must_fit_together() {
    let config = applied("heartbeat_ms = 100\nelection_min_ms = 1000\nelection_max_ms = 2000").expect("they fit");
    assert_ne!(config.driver.replica.core, blockraft_core::Config::default());
    for text in [
        "heartbeat_ms = 0",
        "heartbeat_ms = 150",
        "election_min_ms = 100",
        "election_min_ms = 400",
        "election_min_ms = 300\nelection_max_ms = 200",
    ] {
        assert!(matches!(applied(text), Err(SettingsError::Times(_))), "{text}");
    }
}

#[test]
fn no_number_of_milliseconds_is_too_large_to_be_judged() {
    let most = u32::MAX;
    let text = format!("heartbeat_ms = {most}\nelection_min_ms = {most}\nelection_max_ms = {most}");
    assert!(matches!(applied(&text), Err(SettingsError::Times(_))));
    assert!(applied(&format!("election_max_ms = {most}")).is_ok());
}
