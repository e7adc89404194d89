//! What injected faults leave behind, and what a reader and a writer hear afterwards.

use std::sync::mpsc;
use std::time::Duration;

use blockraft_types::{
    ChainDigest, GroupId, HardState, LogIndex, NodeId, PersistNumber, PersistTicket, Position, Term,
};

use crate::batch::Batch;
use crate::faulty::{FailingWrite, FaultyLog, LogFaults, Reached};
use crate::memory::MemoryDisk;
use crate::reader::ReadError;
use crate::state::Anchor;
use crate::store::{CompactError, CreateGroupError, LoadError, LogStore, PersistError, ResetError};

const GROUP: GroupId = GroupId(1);
const BIRTH: Anchor = Anchor { position: Position::ZERO, chain: ChainDigest::from_bytes([1; 16]) };

fn vote(term: u64) -> Batch {
    let hard_state = Some(HardState { term: Term(term), voted_for: Some(NodeId(1)) });
    Batch { hard_state, ..Batch::new(PersistTicket::new(GROUP, PersistNumber(term))) }
}

fn term_on(disk: &MemoryDisk) -> Term {
    disk.open().load(GROUP).expect("readable").expect("made").hard_state.term
}

#[test]
fn after_a_failed_write_every_call_says_poisoned() {
    for (reached, term) in [(Reached::Nothing, 1), (Reached::Everything, 2)] {
        let disk = MemoryDisk::new();
        let faults = LogFaults::none();
        let mut log = FaultyLog::new(disk.open(), faults.clone());
        log.create_group(GROUP, BIRTH).expect("the first write works");
        log.persist(vec![vote(1)]).expect("the second write works");
        let reader = log.reader();
        faults.fail(FailingWrite { nth: 3, reached });
        assert!(matches!(log.persist(vec![vote(2)]), Err(PersistError::Failed { .. })));

        assert!(matches!(log.persist(vec![vote(3)]), Err(PersistError::Poisoned)));
        assert!(matches!(log.create_group(GroupId(2), BIRTH), Err(CreateGroupError::Poisoned)));
        assert!(matches!(log.compact(GROUP, LogIndex(0)), Err(CompactError::Poisoned)));
        assert!(matches!(log.reset(GROUP, BIRTH), Err(ResetError::Poisoned)));
        assert!(matches!(log.load(GROUP), Err(LoadError::Poisoned)));
        assert!(matches!(reader.entries(GROUP, LogIndex(1), LogIndex(1), 1), Err(ReadError::Poisoned)));
        assert_eq!(term_on(&disk), Term(term), "{reached:?}");
    }
}

#[test]
fn one_seed_always_fails_the_same_write() {
    let failing_write = |seed| {
        let mut log = FaultyLog::new(MemoryDisk::new().open(), LogFaults::from_seed(seed, 9));
        log.create_group(GROUP, BIRTH).ok()?;
        (1..9).find(|&term| log.persist(vec![vote(term)]).is_err())
    };
    let drawn: Vec<_> = (0..32).map(failing_write).collect();
    assert_eq!(drawn, (0..32).map(failing_write).collect::<Vec<_>>());
    let different = drawn.iter().collect::<std::collections::BTreeSet<_>>();
    assert!(4 < different.len(), "seeds draw different writes: {drawn:?}");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the stalled writer needs a thread of its own")]
fn a_stalled_write_waits_until_the_stall_ends() {
    let faults = LogFaults::none();
    let mut log = FaultyLog::new(MemoryDisk::new().open(), faults.clone());
    log.create_group(GROUP, BIRTH).expect("not stalled yet");
    let stall = faults.stall();
    let (done, wait) = mpsc::channel();
    let writer = std::thread::spawn(move || {
        let receipts = log.persist(vec![vote(1)]).expect("it only takes longer");
        done.send(receipts.len()).expect("the test waits");
    });
    while faults.waiting() == 0 {
        std::thread::yield_now();
    }
    assert_eq!(wait.try_recv(), Err(mpsc::TryRecvError::Empty));
    drop(stall);
    assert_eq!(wait.recv_timeout(Duration::from_secs(30)), Ok(1));
    writer.join().expect("the writer doesn't panic");
}

#[test]
fn a_log_of_an_earlier_opening_is_fenced_off() {
    let disk = MemoryDisk::new();
    let mut old = disk.open();
    old.create_group(GROUP, BIRTH).expect("the only one open");
    let mut new = disk.open();
    assert!(matches!(old.persist(vec![vote(1)]), Err(PersistError::Poisoned)));
    new.persist(vec![vote(2)]).expect("the newest is the one");
    disk.cut_power();
    assert!(matches!(new.load(GROUP), Err(LoadError::Poisoned)));
    assert_eq!(term_on(&disk), Term(2));
}
