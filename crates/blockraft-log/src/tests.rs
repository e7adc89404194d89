//! The suite judges the stores of this crate, and wrong stores judge the suite.

mod broken;
mod faults;

use self::broken::{Broken, Bug};
use crate::faulty::{FaultyLog, LogFaults};
use crate::memory::{MemoryDisk, MemoryLog, Syncs};
use crate::store::LogStore;
use crate::suite::{self, Directory, PowerCut, TailLoss, Violation};

/// A pretended disk, and what stands between it and the suite.
struct Rig {
    disk: MemoryDisk,
    wrap: fn(MemoryLog) -> Box<dyn LogStore>,
}

impl Directory for Rig {
    fn open(&self) -> Box<dyn LogStore> {
        (self.wrap)(self.disk.open())
    }

    fn cut_power(&self) -> PowerCut {
        self.disk.cut_power();
        PowerCut::Done
    }

    fn remember(&self) {
        self.disk.remember();
    }

    fn lose_tail(&self) -> TailLoss {
        self.disk.lose_tail();
        TailLoss::Done
    }
}

fn fresh(syncs: Syncs, wrap: fn(MemoryLog) -> Box<dyn LogStore>) -> impl Fn() -> Box<dyn Directory> {
    move || {
        let disk = MemoryDisk::new();
        disk.set_syncs(syncs);
        Box::new(Rig { disk, wrap })
    }
}

fn judge(syncs: Syncs, wrap: fn(MemoryLog) -> Box<dyn LogStore>) -> Result<(), Violation> {
    suite::run(&fresh(syncs, wrap))
}

fn judge_at_random(syncs: Syncs, wrap: fn(MemoryLog) -> Box<dyn LogStore>, seeds: u64) -> Result<(), Violation> {
    suite::run_random(&fresh(syncs, wrap), 0..seeds)
}

/// The claim that a store with this bug is caught by.
fn caught_by(wrap: fn(MemoryLog) -> Box<dyn LogStore>) -> &'static str {
    judge(Syncs::Honoured, wrap).map_or_else(|violation| violation.claim, |()| "nothing")
}

#[test]
fn the_log_in_memory_keeps_every_claim() {
    assert_eq!(judge(Syncs::Honoured, |log| Box::new(log)), Ok(()));
}

#[test]
fn a_faulty_log_without_faults_keeps_every_claim() {
    assert_eq!(judge(Syncs::Honoured, |log| Box::new(FaultyLog::new(log, LogFaults::none()))), Ok(()));
}

#[test]
fn a_disk_that_swallows_syncs_is_found_out() {
    let violation = judge(Syncs::Swallowed, |log| Box::new(log)).expect_err("tickets are redeemed early");
    assert_eq!(violation.claim, "what_has_a_receipt_survives_a_power_cut");
}

#[test]
fn the_log_in_memory_holds_what_a_plain_list_holds_for_many_seeds() {
    assert_eq!(judge_at_random(Syncs::Honoured, |log| Box::new(log), 300), Ok(()));
}

#[test]
fn random_operations_alone_find_wrong_stores_out() {
    let wrong: [fn(MemoryLog) -> Box<dyn LogStore>; 6] = [
        |log| Box::new(Broken::new(log, Bug::ForgetsTruncation)),
        |log| Box::new(Broken::new(log, Bug::ForgetsVote)),
        |log| Box::new(Broken::new(log, Bug::ForgetsLastBatch)),
        |log| Box::new(Broken::new(log, Bug::ForgetsCompaction)),
        |log| Box::new(Broken::new(log, Bug::ForgetsVoteAtReset)),
        |log| Box::new(Broken::new(log, Bug::IgnoresByteBound)),
    ];
    for (nth, wrap) in wrong.into_iter().enumerate() {
        assert!(judge_at_random(Syncs::Honoured, wrap, 10).is_err(), "wrong store {nth}");
    }
    assert!(judge_at_random(Syncs::Swallowed, |log| Box::new(log), 10).is_err());
}

macro_rules! found_out {
    ($($bug:ident by $claim:literal),+ $(,)?) => {
        #[test]
        fn every_wrong_store_is_found_out() {
            $(assert_eq!(caught_by(|log| Box::new(Broken::new(log, Bug::$bug))), $claim, stringify!($bug));)+
        }
    };
}

found_out! {
    ForgetsTruncation by "a_truncation_drops_the_tail",
    ForgetsVote by "what_was_persisted_comes_back",
    ForgetsLastBatch by "a_group_that_is_not_here_is_named",
    ReversesReceipts by "every_batch_gets_its_receipt_in_order",
    MixesGroups by "groups_do_not_mix",
    PersistsOneByOne by "one_call_syncs_once_however_many_batches",
    WritesPartOfAMisfit by "what_does_not_fit_is_refused_whole",
    TakesAnyHardState by "a_hard_state_never_goes_back",
    ForgetsCompaction by "a_compaction_moves_the_anchor",
    ForgetsVoteAtReset by "a_reset_begins_anew_and_keeps_the_vote",
    IgnoresByteBound by "reads_are_bounded_and_never_empty_handed",
    SkipsTheEntryTooLarge by "reads_are_bounded_and_never_empty_handed",
    ReadsAnOldView by "a_reader_sees_what_is_persisted_after_it_was_made",
    HidesALoss by "a_lost_tail_is_told_until_it_is_made_good",
    ForgetsALoss by "a_lost_tail_is_told_until_it_is_made_good",
}
