//! Links that work in one direction, in both or not at all: wherever enough members hear each other, one of them leads,
//! commits, and goes on leading (the outage of Cloudflare's etcd in 2020 was a mask of links in which nobody did).

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use crate::cluster::{Cluster, ELECTION_TICKS};
use crate::ours::Ours;

/// Which member's messages reach which.
#[derive(Clone, Copy, Debug)]
struct Mask {
    size: u64,
    /// One bit for each ordered pair.
    open: u64,
}

impl Mask {
    fn is_open(self, from: u64, to: u64) -> bool {
        // Pairs are numbered by sender, then receiver; nobody sends to itself.
        let pair = (from - 1) * (self.size - 1) + if to < from { to - 1 } else { to - 2 };
        self.open & (1 << pair) != 0
    }

    fn pairs(size: u64) -> u64 {
        size * (size - 1)
    }

    /// Whether some majority hear each other, `member` among them if there is one.
    fn has_quorum(self, member: Option<u64>) -> bool {
        (0..1_u64 << self.size).filter(|some| u64::from(some.count_ones()) * 2 > self.size).any(|some| {
            let ids: Vec<u64> = (1..=self.size).filter(|id| some & (1 << (id - 1)) != 0).collect();
            let connected = ids.iter().all(|one| ids.iter().all(|other| one == other || self.is_open(*one, *other)));
            connected && member.is_none_or(|member| ids.contains(&member))
        })
    }
}

/// A cluster whose links are those of a mask, and a client that asks every leader now and then: in between, those who hear
/// nobody have logs that are good enough to win with.
#[derive(Debug)]
struct Ring {
    cluster: Ours,
    mask: Mask,
    payloads: u64,
    ticks: u32,
}

impl Ring {
    /// `first` leads when the mask comes into force, or nobody ever led.
    fn begin(mask: Mask, first: Option<u64>, seed: u64) -> Self {
        let all = Mask { open: u64::MAX, ..mask };
        let mut ring = Self { cluster: Ours::new(mask.size, seed), mask: all, payloads: 0, ticks: 0 };
        if let Some(first) = first {
            while !ring.cluster.view(first).leads {
                ring.cluster.tick(first);
                ring.deliver();
            }
            ring.live(ELECTION_TICKS / 2);
        }
        Self { mask, ticks: 0, ..ring }
    }

    fn live(&mut self, ticks: u32) {
        for _ in 0..ticks {
            self.ticks += 1;
            for id in 1..=self.mask.size {
                self.cluster.tick(id);
                if self.ticks.is_multiple_of(REQUEST_TICKS) && self.cluster.view(id).leads {
                    self.payloads += 1;
                    self.cluster.propose(id, self.payloads);
                }
            }
            self.deliver();
        }
    }

    /// What was sent since the last tick arrives; answers to it are sent.
    fn deliver(&mut self) {
        for (from, to) in self.cluster.busy() {
            if self.mask.is_open(from, to) {
                self.cluster.deliver(from, to);
            } else {
                self.cluster.lose(from, to);
            }
        }
    }

    /// How many entries are known to be committed, by whoever knows best.
    fn committed(&self) -> usize {
        (1..=self.mask.size).map(|id| self.cluster.view(id).committed).max().unwrap_or(0)
    }

    fn term(&self) -> u64 {
        (1..=self.mask.size).map(|id| self.cluster.view(id).term).max().unwrap_or(0)
    }
}

/// The mask comes into force; then time passes.
fn judge(mask: Mask, first: Option<u64>, seed: u64) {
    let mut ring = Ring::begin(mask, first, seed);
    let (term, committed) = (ring.term(), ring.committed());
    ring.live(10 * 2 * ELECTION_TICKS);
    let (settled, progress) = (ring.term(), ring.committed());
    assert!(settled <= term + TERMS_MAX, "{mask:?} from {first:?}: term {settled} after {term}");
    if first.is_some() && mask.has_quorum(first) {
        assert_eq!(settled, term, "{mask:?} from {first:?}: a leader with a majority was deposed");
    }
    if mask.has_quorum(None) {
        assert!(committed < progress, "{mask:?} from {first:?}: nothing was committed");
        ring.live(10 * 2 * ELECTION_TICKS);
        assert_eq!(ring.term(), settled, "{mask:?} from {first:?}: leaders come and go");
        assert!(progress < ring.committed(), "{mask:?} from {first:?}: commits stopped");
    }
}

#[test]
fn all_masks_of_three_members_have_a_stable_leader_wherever_two_hear_each_other() {
    for open in 0..1 << Mask::pairs(3) {
        let mask = Mask { size: 3, open };
        for first in [None, Some(1), Some(2), Some(3)] {
            (0..SEEDS).for_each(|seed| judge(mask, first, seed));
        }
    }
}

#[test]
fn sampled_masks_of_five_members_have_a_stable_leader_wherever_three_hear_each_other() {
    let mut chance = ChaCha8Rng::seed_from_u64(5);
    let (mut sampled, mut with_quorum) = (0, 0);
    while with_quorum < MASKS {
        // Each link is open three times of four: few masks of equally likely links have a quorum.
        let mask = Mask { size: 5, open: chance.next_u64() | chance.next_u64() };
        let first = chance.next_u64() % 6;
        judge(mask, (0 < first).then_some(first), chance.next_u64());
        sampled += 1;
        with_quorum += u64::from(mask.has_quorum(None));
    }
    assert!(with_quorum < sampled, "some masks have none");
}

/// Longer than any election timeout.
const REQUEST_TICKS: u32 = 3 * ELECTION_TICKS;

const SEEDS: u64 = 4;
const MASKS: u64 = 2_000;

/// A few votes may split.
const TERMS_MAX: u64 = 6;
