//! A log that another one contradicts: what the member finds in its own, and that it stops.

use core::time::Duration;

use blockraft_log::{Anchor, Batch, FaultyLog, LogFaults, LogStore, MemoryDisk, MemoryLog};
use blockraft_types::message::{AppendEntries, StreamEpoch};
use blockraft_types::{
    BodyDigest, ChainDigest, Entry, EntryHead, EntryKind, HardState, LogIndex, Message, NodeId, PersistNumber,
    PersistTicket, Position, Term,
};
use bytes::Bytes;
use tokio::time::timeout;

use crate::config::DriverConfig;
use crate::contradiction::{Contradiction, Finding};
use crate::driver::{Driver, DriverParts};
use crate::effect::RangeRead;
use crate::inquiry::{Inquiry, Progress};
use crate::log_thread::LogThread;
use crate::stop::StopReason;
use crate::tests::cluster::{GROUP, anchor_of, birth, membership};
use crate::tests::shell::alone;
use crate::tests::trio::{Echo, Handle, within};

const LEADER: NodeId = NodeId(2);

/// The entry after `before`, in term 1.
fn next(before: Anchor, body: &'static str) -> Entry {
    let (body, position) = (Bytes::from_static(body.as_bytes()), Position { term: Term(1), ..before.position });
    let position = Position { index: position.index.next(), ..position };
    let head = EntryHead::chained(before.chain, position, EntryKind::Command, body.len() as u32, BodyDigest::of(&body));
    Entry { head, body }
}

/// A log with an entry for each of `bodies`, all of term 1.
fn log_of(bodies: &[&'static str]) -> MemoryLog {
    let mut log = MemoryDisk::new().open();
    let mut last = birth(&membership(3));
    log.create_group(GROUP, last).unwrap();
    let entries = bodies.iter().map(|body| {
        let entry = next(last, body);
        last = anchor_of(&entry);
        entry
    });
    let batch = Batch {
        ticket: PersistTicket::new(GROUP, PersistNumber(1)),
        hard_state: Some(HardState { term: Term(1), voted_for: None }),
        truncate_from: None,
        entries: entries.collect(),
    };
    log.persist(vec![batch]).unwrap();
    log
}

/// Member 1 of three over this log, alone with whatever the test tells it.
fn member(log: MemoryLog, faults: LogFaults) -> Handle {
    let log = LogThread::start(Box::new(FaultyLog::new(log, faults))).unwrap();
    let members = membership(3);
    let state_machine = Echo::at(birth(&members));
    let parts = DriverParts { membership: members, state_machine, ..alone(GROUP, &log) };
    Driver::start(DriverConfig::default(), parts).unwrap()
}

/// The leader says that it has `entries` after `prev`, again and again, until the member stops.
async fn contradict(member: &Handle, prev: Anchor, entries: &[Entry]) -> Contradiction {
    let append = AppendEntries {
        term: Term(1),
        stream: StreamEpoch(1),
        prev: prev.position,
        prev_chain: prev.chain,
        heads: entries.iter().map(|entry| entry.head.clone()).collect(),
        leader_commit: LogIndex::ZERO,
    };
    let bodies: Vec<Bytes> = entries.iter().map(|entry| entry.body.clone()).collect();
    let stopped = within(async {
        loop {
            member.receive(LEADER, Message::AppendEntries(append.clone()), bodies.clone());
            if let Ok(reason) = timeout(Duration::from_millis(20), member.stopped()).await {
                return reason;
            }
        }
    });
    match stopped.await {
        StopReason::LogContradicted { source } => source,
        other => panic!("it stopped for another reason: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_whose_own_entry_is_damaged_stops_and_names_it() {
    let faults = LogFaults::none();
    let member = member(log_of(&["one", "two", "three"]), faults.clone());
    faults.damage(LogIndex(2));
    let position = Position { term: Term(1), index: LogIndex(3) };
    let theirs = Anchor { position, chain: ChainDigest::from_bytes([9; 16]) };
    let found = contradict(&member, theirs, &[]).await;
    assert_eq!((found.from, found.position, found.theirs), (LEADER, position, theirs.chain));
    assert_eq!(found.finding, Finding::Damaged { index: LogIndex(2) });
}

#[tokio::test(flavor = "multi_thread")]
async fn two_logs_that_both_hold_together_stop_the_member_which_names_the_entry_and_both_digests() {
    // Whole bytes, and yet not those that the group agreed on.
    let member = member(log_of(&["one", "changed"]), LogFaults::none());
    let first = anchor_of(&next(birth(&membership(3)), "one"));
    let (ours, theirs) = (next(first, "changed"), next(first, "two"));
    let found = contradict(&member, first, core::slice::from_ref(&theirs)).await;
    assert_eq!((found.position, found.finding), (ours.head.position, Finding::Sound));
    assert_eq!((found.ours, found.theirs), (ours.head.chain, theirs.head.chain));
    let words = found.to_string();
    assert!(words.contains("1.2") && words.contains(&format!("{:?}", ours.head.chain)), "{words}");
}

/// What a look finds that reads `entries`, when this log is said to have the digest `ours` at entry 2.
fn look(inquiry: &mut Inquiry, ours: ChainDigest, entries: Vec<Entry>) -> Option<Progress> {
    let position = Position { term: Term(1), index: LogIndex(2) };
    let theirs = ChainDigest::from_bytes([9; 16]);
    let contradiction = Contradiction { from: LEADER, position, ours, theirs, finding: Finding::Sound };
    let begun = inquiry.begin(RangeRead(1), contradiction, birth(&membership(3)));
    match begun {
        Some(Progress::Read { request, .. }) => inquiry.read(request, &Ok(entries)),
        begun => begun,
    }
}

fn entries() -> [Entry; 2] {
    let first = next(birth(&membership(3)), "one");
    let second = next(anchor_of(&first), "two");
    [first, second]
}

#[test]
fn a_sound_log_is_believed_only_when_the_leader_contradicts_it_again() {
    let (mut inquiry, entries) = (Inquiry::default(), entries());
    let ours = entries[1].head.chain;
    assert!(look(&mut inquiry, ours, entries.to_vec()).is_none(), "the leader's own log may refuse it meanwhile");
    let found = look(&mut inquiry, ours, Vec::new());
    assert!(matches!(found, Some(Progress::Over(Contradiction { finding: Finding::Sound, .. }))), "{found:?}");
}

#[test]
fn a_wrong_body_a_wrong_digest_and_a_gap_are_damage() {
    let [first, second] = entries();
    let ours = second.head.chain;
    let body = Entry { body: Bytes::from_static(b"too"), ..second.clone() };
    let chain = EntryHead { chain: ChainDigest::from_bytes([3; 16]), ..second.head.clone() };
    let chain = Entry { head: chain, body: second.body.clone() };
    for read in [vec![first.clone(), body], vec![first.clone(), chain], vec![second], vec![first, entries()[0].clone()]]
    {
        let wrong = LogIndex(read.len() as u64);
        let found = look(&mut Inquiry::default(), ours, read);
        let Some(Progress::Over(Contradiction { finding: Finding::Damaged { index }, .. })) = found else {
            panic!("{found:?}");
        };
        assert_eq!(index, wrong);
    }
}

#[test]
fn a_digest_that_only_this_process_remembers_is_told_from_damage() {
    let found = look(&mut Inquiry::default(), ChainDigest::from_bytes([4; 16]), entries().to_vec());
    assert!(matches!(found, Some(Progress::Over(Contradiction { finding: Finding::Misremembered, .. }))), "{found:?}");
}
