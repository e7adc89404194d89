//! What each node must remember of each other one, as the world saw it told; and the node that is on trial for it.
//!
//! A node whose disks went back in time is on trial until it has found out. It can only find out from those who remember
//! what it lacks, and where none of them can be reached it goes on with the others, for which nobody is to blame. So it
//! meets nobody else meanwhile: then it must never say a word of consensus.

use blockraft_node::witness::Past;

use crate::time::Time;

/// Everybody's memory of everybody.
#[derive(Debug)]
pub(crate) struct Testimony {
    /// By who remembers, and of whom.
    seen: Vec<Vec<Past>>,
    /// What would be left of that by a restart.
    kept: Vec<Vec<Past>>,
    trial: Option<Trial>,
}

/// A node whose disks went back in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trial {
    pub(crate) place: usize,
    /// How far its disks have come now.
    pub(crate) own: Past,
    pub(crate) disks: Relapse,
    /// Until then it meets nobody at all.
    pub(crate) alone_until: Time,
}

/// What became of its disks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Relapse {
    RolledBack,
    Emptied,
}

/// How much of a memory is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Memory {
    /// All of it.
    Seen,
    /// What a restart leaves.
    Kept,
}

impl Testimony {
    pub(crate) fn new(places: usize) -> Self {
        let nothing = vec![vec![Past::default(); places]; places];
        Self { seen: nothing.clone(), kept: nothing, trial: None }
    }

    /// `witness` was shown that `other` had come so far.
    pub(crate) fn heard(&mut self, witness: usize, other: usize, past: Past) {
        self.seen[witness][other].raise(past);
    }

    /// `witness` has written down what it was shown.
    pub(crate) fn kept(&mut self, witness: usize) {
        let Self { seen, kept, .. } = self;
        kept[witness].clone_from(&seen[witness]);
    }

    /// The process of `witness` has ended.
    pub(crate) fn cut(&mut self, witness: usize) {
        let Self { seen, kept, .. } = self;
        seen[witness].clone_from(&kept[witness]);
    }

    /// The disks of `witness` are others now.
    pub(crate) fn forget(&mut self, witness: usize) {
        self.kept[witness].fill(Past::default());
        self.cut(witness);
    }

    /// What `witness` remembers of `other`.
    pub(crate) fn past(&self, memory: Memory, witness: usize, other: usize) -> Past {
        match memory {
            Memory::Seen => self.seen[witness][other],
            Memory::Kept => self.kept[witness][other],
        }
    }

    /// Whether `witness` can tell the node on trial that it is behind, and may.
    pub(crate) fn tells(&self, now: Time, witness: usize, accused: usize) -> bool {
        self.trial.is_some_and(|trial| {
            trial.place == accused && trial.alone_until <= now && trial.own.lacks(self.seen[witness][accused])
        })
    }

    pub(crate) const fn trial(&self) -> Option<Trial> {
        self.trial
    }

    pub(crate) fn is_on_trial(&self, place: usize) -> bool {
        self.trial.is_some_and(|trial| trial.place == place)
    }

    pub(crate) const fn accuse(&mut self, trial: Trial) {
        self.trial = Some(trial);
    }

    /// The trial is over.
    pub(crate) const fn close(&mut self) {
        self.trial = None;
    }
}
