//! Which change of members comes after which: first what every operator does one day, then drawn from a seed.

use core::fmt;

use crate::cluster::dice::Dice;

/// One thing that an operator does, or that happens to him.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Step {
    /// The leader is killed and started again: what writes pay for an election, to hold the others against.
    Election,
    /// A node is invited, joins, and becomes a voter.
    Add,
    /// The leader is let go.
    RemoveLeader,
    /// Another member is let go.
    RemoveFollower,
    /// A follower's disk goes back in time, and then it is empty: both have to be refused. Then one command replaces it.
    ReplaceWiped,
}

/// Steps without an end, each fit for the number of members that those before it leave.
#[derive(Clone, Debug)]
pub(crate) struct Course {
    dice: Dice,
    members: usize,
    planned: std::slice::Iter<'static, Step>,
}

impl Step {
    /// Whether a process is killed in it, so that what it was asked at that moment may have been lost with it.
    pub(crate) const fn kills(self) -> bool {
        match self {
            Self::Election | Self::ReplaceWiped => true,
            Self::Add | Self::RemoveLeader | Self::RemoveFollower => false,
        }
    }

    const fn members_after(self, members: usize) -> usize {
        match self {
            Self::Add => members + 1,
            Self::RemoveLeader | Self::RemoveFollower => members - 1,
            Self::Election | Self::ReplaceWiped => members,
        }
    }
}

impl Course {
    /// The course of a cluster that begins with so many members, at least three.
    pub(crate) fn draw(seed: u64, members: usize) -> Self {
        Self { dice: Dice::new(seed), members, planned: PLANNED.iter() }
    }

    /// Whether the next step is one of those that every course begins with.
    pub(crate) fn is_planned(&self) -> bool {
        self.planned.len() > 0
    }

    /// The next step.
    pub(crate) fn next(&mut self) -> Step {
        let fit: &[Step] = match self.members {
            0..=3 => &[Step::Add, Step::Election, Step::ReplaceWiped],
            4..=5 => &[Step::Add, Step::RemoveLeader, Step::RemoveFollower, Step::Election, Step::ReplaceWiped],
            _ => &[Step::RemoveLeader, Step::RemoveFollower],
        };
        let step = self.planned.next().or_else(|| fit.get(self.dice.below(fit.len() as u64) as usize));
        let step = step.copied().unwrap_or(Step::Election);
        self.members = step.members_after(self.members);
        step
    }

    /// One of so many.
    pub(crate) fn any(&mut self, count: usize) -> usize {
        self.dice.below(count as u64) as usize
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Election => "kill the leader",
            Self::Add => "add a node",
            Self::RemoveLeader => "remove the leader",
            Self::RemoveFollower => "remove a follower",
            Self::ReplaceWiped => "replace a wiped node",
        })
    }
}

/// Two nodes are added, the leader is removed, a dead node is replaced.
const PLANNED: [Step; 5] = [Step::Election, Step::Add, Step::Add, Step::RemoveLeader, Step::ReplaceWiped];

#[cfg(test)]
mod tests {
    use super::{Course, PLANNED, Step};

    #[test]
    fn every_course_begins_as_planned_and_goes_on_as_its_seed_says() {
        let steps = |seed| {
            let mut course = Course::draw(seed, 3);
            (0..40).map(|_| course.next()).collect::<Vec<Step>>()
        };
        assert_eq!(steps(7), steps(7));
        assert_ne!(steps(7), steps(8));
        assert_eq!(steps(7)[..5], PLANNED);
        assert!(steps(7)[5..].contains(&Step::RemoveFollower));
    }

    #[test]
    fn no_course_leaves_fewer_than_three_members_or_more_than_six() {
        for seed in 0..50 {
            let mut course = Course::draw(seed, 3);
            for _ in 0..100 {
                course.next();
                assert!((3..=6).contains(&course.members), "seed {seed}");
            }
        }
    }
}
