//! A process that persists is killed at random moments; what it said it had is there when the log is opened again.
//!
//! The child is this test binary, started again. It says what it is about to do, does it, and says that it is done;
//! every word goes through a pipe, so that the parent knows all that was acknowledged before the kill.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use blockraft_log::{Batch, LogState, LogStore};
use blockraft_types::{
    BodyDigest, Entry, EntryHead, EntryKind, HardState, LogIndex, NodeId, PersistNumber, PersistTicket, Position, Term,
};

use super::scribe::{self, GROUP, SMALL};
use crate::store::RocksLog;

/// Everything that a child acknowledged, over all its lives.
#[derive(Debug, Default)]
struct Acknowledged {
    hard_state: HardState,
    /// The chain digest of each entry, as text.
    chains: BTreeMap<u64, String>,
    /// What was announced and not yet acknowledged: entries from here on may be gone, up to here compacted.
    truncating_from: Option<u64>,
    compacting_through: u64,
}

impl Acknowledged {
    fn hear(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |word: &str| word.parse::<u64>().expect("a number");
        match words.as_slice() {
            ["truncating", from] => self.truncating_from = Some(number(from)),
            ["truncated"] => {
                if let Some(from) = self.truncating_from.take() {
                    self.chains.retain(|index, _| *index < from);
                }
            }
            ["compacting", through] => self.compacting_through = number(through),
            ["entry", index, chain] => {
                self.chains.insert(number(index), (*chain).to_owned());
            }
            ["voted", term, node] => {
                self.hard_state = HardState { term: Term(number(term)), voted_for: Some(NodeId(number(node))) };
            }
            // What the test harness itself prints.
            _ => {}
        }
    }

    /// What is missing from `log`, if anything is.
    fn missing(&mut self, log: &RocksLog) -> Option<String> {
        let state = log.load(GROUP).expect("readable").expect("made");
        let found = state.hard_state;
        let acknowledged = self.hard_state;
        if found < acknowledged || (found.term == acknowledged.term && found != acknowledged) {
            return Some(format!("voted {acknowledged:?}, found {found:?}"));
        }
        let anchor = state.anchor.position.index;
        if LogIndex(self.compacting_through) < anchor {
            return Some(format!("compacted up to {anchor}, asked for {}", self.compacting_through));
        }
        let entries = log.reader().entries(GROUP, anchor.next(), LogIndex(u64::MAX - 1), u64::MAX).expect("whole");
        let held: BTreeMap<u64, String> =
            entries.iter().map(|entry| (entry.head.position.index.0, chain_text(&entry.head))).collect();
        let may_be_gone = self.truncating_from.take().unwrap_or(u64::MAX);
        self.chains.retain(|&index, _| index < may_be_gone && anchor.0 < index);
        let lost = self.chains.iter().find(|(index, chain)| held.get(index) != Some(chain));
        let lost =
            lost.map(|(index, _)| format!("entry {index} was acknowledged; the log ends at {}", state.last.position));
        self.chains = held;
        lost
    }
}

fn chain_text(head: &EntryHead) -> String {
    format!("{:02x?}", head.chain.as_bytes()).replace(' ', "")
}

/// What the child of a round does, and whether it is honest about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Honesty {
    Honest,
    /// A negative control: acknowledges every batch before it is persisted.
    Early,
}

/// One life of a child: starts it, listens for a while, kills it, and hears what was still in the pipe.
fn live_and_die(folder: &Path, honesty: Honesty, seed: u64, acknowledged: &mut Acknowledged) {
    let binary = std::env::current_exe().expect("a test runs from a file");
    let mut child = Command::new(binary)
        .args(["--exact", "tests::crash::a_child_that_is_not_told_to_write_does_nothing", "--nocapture"])
        .env(FOLDER, folder)
        .env(SEED, seed.to_string())
        .env(EARLY, if honesty == Honesty::Early { "1" } else { "0" })
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("a test binary can be started again");
    let mut pipe = BufReader::new(child.stdout.take().expect("it is piped"));
    let lines_before_kill = 1 + chance(seed, 1) % 120;
    let mut line = String::new();
    for _ in 0..lines_before_kill {
        line.clear();
        if pipe.read_line(&mut line).expect("a pipe can be read") == 0 {
            break;
        }
        acknowledged.hear(line.trim_end());
    }
    // Between two lines anything can be under way in the child; a random instant more reaches all of it.
    std::thread::park_timeout(Duration::from_micros(chance(seed, 2) % 3_000));
    child.kill().expect("it is ours");
    child.wait().expect("it is ours");
    if let Some(cut) = std::env::var_os(POWER_CUT) {
        let status = Command::new(cut).arg(folder).status().expect("the caller named a program");
        assert!(status.success(), "the power couldn't be cut: {status}");
    }
    let mut rest = String::new();
    pipe.read_to_string(&mut rest).expect("a pipe can be read");
    // The last line counts only if it is whole.
    for line in rest.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
        acknowledged.hear(line);
    }
}

/// Runs rounds until something acknowledged is missing, and says what.
fn rounds(count: u64, honesty: Honesty) -> Option<String> {
    let (folder, log) = scribe::born();
    drop(log);
    let mut acknowledged = Acknowledged::default();
    for seed in 0..count {
        live_and_die(folder.path(), honesty, seed, &mut acknowledged);
        let log = match RocksLog::open(folder.path()) {
            Ok(log) => log,
            Err(error) => return Some(format!("round {seed}: {error}")),
        };
        if let Some(missing) = acknowledged.missing(&log) {
            return Some(format!("round {seed}: {missing}"));
        }
    }
    assert!(Term(count / 2) < acknowledged.hard_state.term, "the children hardly ever came to write");
    None
}

#[test]
fn whatever_a_killed_process_acknowledged_is_found_again() {
    let count = std::env::var(ROUNDS).ok().and_then(|count| count.parse().ok()).unwrap_or(ROUNDS_DEFAULT);
    assert_eq!(rounds(count, Honesty::Honest), None);
}

#[test]
fn a_process_that_acknowledges_early_is_found_out() {
    let missing = rounds(ROUNDS_UNTIL_FOUND_OUT, Honesty::Early);
    assert!(
        missing.as_ref().is_some_and(|missing| missing.contains("acknowledged") || missing.contains("voted")),
        "{missing:?}"
    );
}

#[test]
fn a_child_that_is_not_told_to_write_does_nothing() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok()).expect("the parent sets it");
    let honesty = if number(EARLY) == 1 { Honesty::Early } else { Honesty::Honest };
    write_until_killed(Path::new(&folder), number(SEED), honesty);
}

/// The child's whole life.
fn write_until_killed(folder: &Path, seed: u64, honesty: Honesty) {
    let mut log = RocksLog::open_with(folder, SMALL).expect("the parent opened it too");
    for step in 0.. {
        let state = log.load(GROUP).expect("readable").expect("the parent made it");
        let draw = |salt| chance(seed, 1_000 * step + salt);
        if draw(3).is_multiple_of(9) && state.anchor.position.index < state.last.position.index {
            let through =
                state.anchor.position.index.0 + draw(4) % (state.last.position.index.0 - state.anchor.position.index.0);
            say(&format!("compacting {through}\n"));
            log.compact(GROUP, LogIndex(through)).expect("the disk works");
            continue;
        }
        let (batch, words) = next_batch(&state, &draw);
        if let Some(from) = batch.truncate_from {
            say(&format!("truncating {}\n", from.0));
        }
        if honesty == Honesty::Early {
            say(&words);
        }
        log.persist(vec![batch]).expect("the disk works");
        if honesty == Honesty::Honest {
            say(&words);
        }
    }
}

/// A batch that fits after `state`, and what is to be said of it once it is durable.
fn next_batch(state: &LogState, draw: &dyn Fn(u64) -> u64) -> (Batch, String) {
    let mut batch = Batch::new(PersistTicket::new(GROUP, PersistNumber(1)));
    let mut words = String::new();
    let (anchor, mut last) = (state.anchor, state.last);
    let mut term = last.position.term.0.max(1);
    let held = last.position.index.since(anchor.position.index);
    // Only a truncation down to the anchor needs no digest of an entry in the middle.
    if draw(5).is_multiple_of(11) && 0 < held {
        batch.truncate_from = Some(anchor.position.index.next());
        last = anchor;
        term += 1;
        words += "truncated\n";
    }
    if draw(6).is_multiple_of(3) || state.hard_state.term < Term(term) {
        let next = HardState { term: Term(state.hard_state.term.0 + 1), voted_for: Some(NodeId(1 + draw(7) % 3)) };
        batch.hard_state = Some(next);
        words += &format!("voted {} {}\n", next.term, 1 + draw(7) % 3);
        term = next.term.0;
    }
    for nth in 0..draw(8) % 8 {
        let position = Position { term: Term(term), index: last.position.index.next() };
        let body = vec![nth as u8; (draw(9) % 12_000) as usize];
        let head =
            EntryHead::chained(last.chain, position, EntryKind::Command, body.len() as u32, BodyDigest::of(&body));
        words += &format!("entry {} {}\n", position.index.0, chain_text(&head));
        last = blockraft_log::Anchor { position, chain: head.chain };
        batch.entries.push(Entry { head, body: body.into() });
    }
    (batch, words)
}

/// One write to the pipe: the parent hears all of it or, if the kill comes first, nothing.
fn say(words: &str) {
    let mut pipe = std::io::stdout().lock();
    pipe.write_all(words.as_bytes()).expect("the parent listens");
    pipe.flush().expect("the parent listens");
}

/// A number that depends on `seed` and `salt` alone.
fn chance(seed: u64, salt: u64) -> u64 {
    let digest = BodyDigest::of(&[seed.to_le_bytes(), salt.to_le_bytes()].concat());
    let (low, _) = digest.as_bytes().split_first_chunk::<8>().expect("a digest has sixteen bytes");
    u64::from_le_bytes(*low)
}

const FOLDER: &str = "BLOCKRAFT_CRASH_FOLDER";
const SEED: &str = "BLOCKRAFT_CRASH_SEED";
const EARLY: &str = "BLOCKRAFT_CRASH_EARLY";
/// A program that takes the power, after each kill, from the file system that the folder in its argument is on.
const POWER_CUT: &str = "BLOCKRAFT_CRASH_POWER_CUT";
/// How many kills: raise it for a campaign.
const ROUNDS: &str = "BLOCKRAFT_CRASH_ROUNDS";
const ROUNDS_DEFAULT: u64 = 40;
/// About one kill in twenty strikes between an early acknowledgement and its write; the first one ends the test.
const ROUNDS_UNTIL_FOUND_OUT: u64 = 1_000;
