//! The core alone, with instant disks: under links that work in one direction only (`masks`), and beside another
//! implementation.
//!
//! That one is the crate `raft`. Both live through the same schedules of campaigns, proposals, deliveries, losses and
//! restarts: after each episode they have the same leaders in the same terms, the same logs, and the same entries are
//! committed.
//!
//! The clocks are ours: the twin of a member that campaigns or steps down because of the time does so too. Between
//! episodes everything that can arrive has arrived, since the two pace appends and repeat lost ones each in its own way.

mod cluster;
mod masks;
mod oracle;
mod ours;
mod pair;
mod schedule;

use crate::pair::Pair;
use crate::schedule::Schedule;

#[test]
fn both_elect_the_same_leaders_and_commit_the_same_entries() {
    let (mut leaders, mut committed) = (0, 0);
    for seed in 0..SEEDS {
        let size = [1, 3, 5][(seed % 3) as usize];
        let mut pair = Pair::new(size, seed);
        let mut schedule = Schedule::new(seed, size);
        for _ in 0..EPISODES {
            let episode = schedule.next();
            pair.live_through(&episode);
            pair.compare().unwrap_or_else(|difference| panic!("seed {seed}: {difference}"));
        }
        pair.compare_in_the_end().unwrap_or_else(|difference| panic!("seed {seed}: {difference}"));
        leaders += pair.leaders();
        committed += pair.committed();
    }
    // Schedules in which nothing happens would agree too.
    assert!(SEEDS < leaders, "{leaders} leaders");
    assert!(10 * SEEDS < committed, "{committed} entries");
}

/// What makes the comparison worth something: it notices when one of the two is told something else.
#[test]
fn a_lost_proposal_is_noticed() {
    let mut pair = Pair::new(3, 0);
    let mut schedule = Schedule::new(0, 3);
    while pair.leaders() == 0 {
        pair.live_through(&schedule.next());
    }
    pair.compare().expect("the same so far");
    pair.propose_to_one_of_them();
    pair.compare().expect_err("one has an entry more");
}

const SEEDS: u64 = 900;
const EPISODES: usize = 60;
