//! A process that applies is killed at random moments; what is left is a replay up to some entry, and no flush is lost.
//!
//! The child is this test binary, started again. `BLOCKRAFT_CRASH_ROUNDS` raises the number of kills.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command as Process, Stdio};

use blockraft_blocks::{HashCode, Multihash};
use blockraft_catalog::{BatchLimits, Catalog, CatalogState, Command, MemoryTable, Row, Table, batch};
use blockraft_types::{BodyDigest, ChainDigest, Entry, EntryHead, EntryKind, GroupId, LogIndex, Position, Term};

use crate::{RocksTable, RocksTableOptions};

/// Small, so that RocksDB writes memtables out on its own between the flushes.
const OPTIONS: RocksTableOptions = RocksTableOptions { memtable_bytes: 64 << 10, cache_bytes: 1 << 20 };

const GENESIS: ChainDigest = ChainDigest::from_bytes([7; 16]);
const GROUP: GroupId = GroupId(0);
const ENTRIES: u64 = 100_000;
const FOLDER: &str = "BLOCKRAFT_CATALOG_CRASH_FOLDER";
const HONESTY: &str = "BLOCKRAFT_CATALOG_CRASH_HONESTY";
const ROUNDS: &str = "BLOCKRAFT_CRASH_ROUNDS";

/// When the child says that it flushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Honesty {
    AfterTheFlush,
    /// The negative control: without one.
    WithoutAFlush,
}

/// The log, the same in every process: entry after entry.
struct Log {
    position: Position,
    chain: ChainDigest,
}

impl Log {
    fn new() -> Self {
        Self { position: Position { term: Term(1), index: LogIndex::ZERO }, chain: GENESIS }
    }

    fn next(&mut self) -> Entry {
        self.position.index = self.position.index.next();
        let number = self.position.index.0;
        let commands = (0..chance(number, 0) % 5).map(|command| {
            let choice = chance(number, 1 + command);
            let multihash = Multihash::of(HashCode::Blake3, &(choice % 500).to_le_bytes());
            if choice.is_multiple_of(3) {
                return Command::Delete { multihash };
            }
            Command::Put { multihash, length: (choice % 1000) as u32, inline: None }
        });
        let body = batch::encode(commands, BatchLimits::default()).unwrap();
        let digest = BodyDigest::of(&body);
        let head = EntryHead::chained(self.chain, self.position, EntryKind::Command, body.len() as u32, digest);
        self.chain = head.chain;
        Entry { head, body }
    }

    fn up_to(&mut self, index: LogIndex) -> Vec<Entry> {
        let missing = index.since(self.position.index);
        (0..missing).map(|_| self.next()).collect()
    }
}

#[test]
fn a_killed_catalog_is_a_replay_of_the_log_up_to_the_position_that_it_names() {
    let rounds = std::env::var(ROUNDS).ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(20);
    let place = formatted();
    let table = MemoryTable::new();
    let (mut log, mut replay) = (Log::new(), Catalog::open(table, GROUP, GENESIS).unwrap());
    let mut between_flushes = 0;
    for round in 0..rounds {
        let flushed = live_and_die(&folder(&place), Honesty::AfterTheFlush, round);
        let killed = reopen(&folder(&place));
        let position = killed.state().position;
        assert!(flushed <= position.index, "round {round}: entry {flushed} was flushed, and {position} is left");
        between_flushes += u64::from(flushed < position.index);
        assert!(replay.state().position <= position, "round {round}: what was on disk once is gone");
        let before = image(&killed);
        if replay.state().position < position {
            assert_ne!(image(&replay), before, "round {round}: a replay that ends earlier must not pass");
        }
        replay.apply_many(&log.up_to(position.index)).unwrap();
        assert_eq!(before, image(&replay), "round {round}");
    }
    assert!(0 < replay.state().position.index.0, "no child came to apply anything");
    println!("{rounds} kills up to entry {}; {between_flushes} of them between two flushes", replay.state().position);
}

#[test]
fn a_catalog_that_says_flushed_without_a_flush_is_found() {
    let place = formatted();
    let lost = (0..50).any(|round| {
        let flushed = live_and_die(&folder(&place), Honesty::WithoutAFlush, round);
        reopen(&folder(&place)).state().position.index < flushed
    });
    assert!(lost, "50 kills lost nothing that was never flushed: the kill finds nothing");
}

/// The child of the tests above, when they start it.
#[test]
fn a_child_that_is_not_told_to_apply_does_nothing() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let honest = std::env::var_os(HONESTY).is_some_and(|honesty| honesty == "honest");
    let mut catalog = reopen(Path::new(&folder));
    let flusher = catalog.flusher();
    let mut log = Log::new();
    log.up_to(catalog.state().position.index);
    let mut out = std::io::stdout();
    while log.position.index.0 < ENTRIES {
        let number = log.position.index.0;
        let some: Vec<Entry> = (0..=chance(number, 7) % 8).map(|_| log.next()).collect();
        catalog.apply_many(&some).unwrap();
        let position = catalog.state().position.index;
        let word = match chance(number, 8) % 10 {
            0 if honest => {
                assert_eq!(flusher.flush().unwrap().index, position);
                "flushed"
            }
            0 => "flushed",
            _ => "applied",
        };
        writeln!(out, "{word} {position}").unwrap();
        out.flush().unwrap();
    }
}

/// Starts a child, kills it after a random number of its words, and returns the last entry that it said it flushed.
fn live_and_die(folder: &Path, honesty: Honesty, round: u64) -> LogIndex {
    let mut child = Process::new(std::env::current_exe().unwrap())
        .args(["--exact", "tests::crash::a_child_that_is_not_told_to_apply_does_nothing", "--nocapture"])
        .env(FOLDER, folder)
        .env(HONESTY, if honesty == Honesty::AfterTheFlush { "honest" } else { "not" })
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let heard: Vec<String> = lines.by_ref().take(4 + chance(round, 9) as usize % 200).map(Result::unwrap).collect();
    child.kill().unwrap();
    child.wait().unwrap();
    // What it said before it died stands in the pipe; the last line may be torn.
    let rest: Vec<String> = lines.map_while(Result::ok).collect();
    let rest = &rest[..rest.len().saturating_sub(1)];
    let flushed = heard.iter().chain(rest).filter_map(|line| line.strip_prefix("flushed ")?.parse().ok());
    LogIndex(flushed.max().unwrap_or(0))
}

fn image<T: Table>(catalog: &Catalog<T>) -> (CatalogState, BTreeMap<Multihash, Row>) {
    let page = catalog.reader().list(None, 1000).unwrap().value;
    assert_eq!(page.next, None, "500 blocks fit on a page");
    (catalog.state(), page.rows.into_iter().collect())
}

fn formatted() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    drop(RocksTable::create(&folder(&place), &OPTIONS).unwrap());
    place
}

fn folder(place: &tempfile::TempDir) -> PathBuf {
    place.path().join("catalog")
}

fn reopen(folder: &Path) -> Catalog<RocksTable> {
    Catalog::open(RocksTable::open(folder, &OPTIONS).unwrap(), GROUP, GENESIS).unwrap()
}

/// A number that hangs on `a` and `b` alone.
fn chance(a: u64, b: u64) -> u64 {
    let mut mixed = a.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ b.wrapping_mul(0xd1b5_4a32_d192_ed03);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
