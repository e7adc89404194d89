//! A process that writes to a store on a real directory is killed again and again.
#![expect(clippy::unwrap_used, reason = "clippy knows only the functions marked as tests, not what they call")]

use std::process::Command;
use std::sync::Arc;

use blockraft_blocks::fault::{Faults, Syncs};
use blockraft_blocks::suite::Violation;
use blockraft_blocks::suite::crash::{self, Survived};
use blockraft_blocks::{BlockStore, FaultyStore};
use blockraft_blocks_segment::{Options, SegmentStore};

/// Segments small enough to be sealed, compacted and removed within a child's short life.
fn options() -> Options {
    Options { segment_bytes_max: 1 << 20, segment_records_max: 64, extent_bytes: 256 << 10, ..Options::default() }
}

#[test]
fn nothing_acknowledged_is_lost_by_kills() {
    let name = "nothing_acknowledged_is_lost_by_kills";
    let rounds = std::env::var("BLOCKRAFT_CRASH_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(30);
    let Some(survived) = campaign(name, rounds, |store| store) else { return };
    let survived = survived.unwrap();
    println!("{survived:?}");
    assert!(survived.kept > rounds && survived.gone > rounds, "{survived:?}");
}

#[test]
fn a_store_that_acknowledges_before_it_writes_is_flagged() {
    let faults = Faults { syncs: Syncs::Swallowed, ..Faults::default() };
    let lying = |store| Arc::new(FaultyStore::new(store, faults)) as _;
    let Some(survived) = campaign("a_store_that_acknowledges_before_it_writes_is_flagged", 3, lying) else { return };
    survived.unwrap_err();
}

/// Runs the rounds of the test called `name`; `None` in the child of a round, after it has done its work.
fn campaign(
    name: &str,
    rounds: u64,
    wrap: impl Fn(Arc<dyn BlockStore>) -> Arc<dyn BlockStore>,
) -> Option<Result<Survived, Violation>> {
    if let Some(directory) = std::env::var_os("BLOCKRAFT_CRASH_CHILD") {
        let round = std::env::var("BLOCKRAFT_CRASH_ROUND").unwrap().parse().unwrap();
        let store = SegmentStore::open(directory, options()).unwrap();
        crash::write_until_killed(&wrap(Arc::new(store)), round);
        return None;
    }
    let directory = tempfile::tempdir().unwrap();
    let child = |round: u64| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", name, "--nocapture"]);
        command.env("BLOCKRAFT_CRASH_CHILD", directory.path()).env("BLOCKRAFT_CRASH_ROUND", round.to_string());
        command
    };
    let open = || Ok(Arc::new(SegmentStore::open(directory.path(), options())?) as _);
    Some(crash::kill_and_check(rounds, child, open))
}
