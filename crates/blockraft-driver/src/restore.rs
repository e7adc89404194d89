//! From what the disk holds to what a member remembers.

use blockraft_core::{LogPoint, RestoreError, Restored};
use blockraft_log::{Anchor, LoadError, LogReader, LogState, LogStore, ReadError, ResetError};
use blockraft_types::{EntryHead, GroupId, HardState, LogIndex, Membership, NodeId, Position};
use thiserror::Error;

use crate::mistake::Mistake;

/// What a member is made of when it starts.
#[derive(Debug)]
pub struct Remains<'a> {
    /// The member.
    pub node: NodeId,
    /// Its group.
    pub group: GroupId,
    /// Its log, as the store loaded it.
    pub log: LogState,
    /// Where the state machine stands.
    pub applied: Anchor,
    /// The newest configuration that the state machine knows of, or the one that the group was born with.
    pub membership: Membership,
    /// The entry that brought it; zero if the group was born with it.
    pub membership_index: LogIndex,
    /// Reads the log.
    pub reader: &'a dyn LogReader,
}

/// Why a member can't start. Nothing was changed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RestoreFailure {
    /// The state machine has applied entries that this log doesn't have: the log lost its end, or belongs to another
    /// state machine.
    #[error("the state machine has applied {applied}, but the log ends at {last}")]
    AppliedBeyondLog {
        /// Where the state machine stands.
        applied: Position,
        /// Where the log ends.
        last: Position,
    },
    /// Entries that the state machine lacks are compacted away.
    #[error("the state machine stands at {applied}, but the log begins after {anchor}")]
    Gap {
        /// Where the state machine stands.
        applied: Position,
        /// Where the log begins.
        anchor: Position,
    },
    /// The log has another entry where the state machine stands: they don't belong together.
    #[error("the state machine stands at {applied}, but the log has another entry there")]
    Conflict {
        /// Where the state machine stands.
        applied: Position,
    },
    /// The log can't be read back.
    #[error("the log of group {group} can't be read back")]
    Unreadable {
        /// The group.
        group: GroupId,
        /// What the store said.
        source: ReadError,
    },
    /// The parts of the log contradict each other.
    #[error("the log of group {group} contradicts itself")]
    Inconsistent {
        /// The group.
        group: GroupId,
        /// How.
        source: RestoreError,
    },
}

/// What [`reconcile`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reconciled {
    /// Log and state machine go together, or [`restore`] will tell why not.
    AsFound,
    /// The log was reset to the state machine's position.
    Reset,
}

/// Why log and state machine couldn't be brought together.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReconcileError {
    /// The log can't be loaded.
    #[error("the log of group {group} can't be loaded")]
    Load {
        /// The group.
        group: GroupId,
        /// What the store said.
        source: LoadError,
    },
    /// The entry where the state machine stands can't be read.
    #[error("the log of group {group} can't be read back")]
    Read {
        /// The group.
        group: GroupId,
        /// What the store said.
        source: ReadError,
    },
    /// The log can't be reset.
    #[error("the log of group {group} can't be reset")]
    Reset {
        /// The group.
        group: GroupId,
        /// What the store said.
        source: ResetError,
    },
}

/// Finishes an installation that a crash cut short: a state machine that stands at `applied`, beyond the end of the log or
/// where the log has another entry, took a snapshot, and the log is to be reset to it. Call it before
/// [`LogThread::start`](crate::LogThread::start), and only if the state machine knows that it came to `applied` by an
/// installation, or the log that it [lost its end](LogState::lost_tail): a log that lost what was acknowledged and doesn't
/// know it looks the same.
///
/// What the state machine holds was committed, so nothing is lost by it that anybody may rest on: entries that conflict
/// with it were never committed.
///
/// # Errors
///
/// See [`ReconcileError`].
pub fn reconcile(store: &mut dyn LogStore, group: GroupId, applied: Anchor) -> Result<Reconciled, ReconcileError> {
    let state = store.load(group).map_err(|source| ReconcileError::Load { group, source })?;
    let Some(state) = state else { return Ok(Reconciled::AsFound) };
    let (index, anchor) = (applied.position.index, state.anchor.position.index);
    if index <= anchor {
        return Ok(Reconciled::AsFound);
    }
    if index <= state.last.position.index {
        let found = store.reader().entries(group, index, index, u64::MAX);
        let found = found.map_err(|source| ReconcileError::Read { group, source })?;
        if found
            .first()
            .is_some_and(|entry| entry.head.position == applied.position && entry.head.chain == applied.chain)
        {
            return Ok(Reconciled::AsFound);
        }
    }
    store.reset(group, applied).map_err(|source| ReconcileError::Reset { group, source })?;
    Ok(Reconciled::Reset)
}

/// Reads what a member needs to go on, and checks that log and state machine belong together.
///
/// Reads every entry after the applied one; blocks while it does.
///
/// # Errors
///
/// See [`RestoreFailure`].
pub fn restore(remains: Remains<'_>) -> Result<Restored, RestoreFailure> {
    let Remains { node, group, log, applied, membership, membership_index, reader } = remains;
    let (position, anchor, last) = (applied.position, log.anchor, log.last);
    if position.index < anchor.position.index {
        return Err(RestoreFailure::Gap { applied: position, anchor: anchor.position });
    }
    if last.position.index < position.index {
        return Err(RestoreFailure::AppliedBeyondLog { applied: position, last: last.position });
    }
    let source = Source { group, reader };
    let here = if position.index == anchor.position.index { anchor } else { source.point(position.index)? };
    if here != applied {
        return Err(RestoreFailure::Conflict { applied: position });
    }
    let tail = source.heads(position.index.next(), last.position.index)?;
    let in_force = log.memberships.iter().rev().find(|(at, _)| at.index <= position.index);
    let in_force = in_force.filter(|(at, _)| membership_index < at.index);
    let (membership, membership_index) =
        in_force.map_or((membership, membership_index), |(at, membership)| (membership.clone(), at.index));
    let earlier = log.memberships.iter().take_while(|(at, _)| at.index < membership_index);
    let earlier_memberships = earlier.map(|(at, membership)| (at.index, membership.clone())).collect();
    // A snapshot is durable before the term that it came in. A vote of that term would have been durable before it was told,
    // so none was given.
    let hard_state = if log.hard_state.term < anchor.position.term {
        HardState { term: anchor.position.term, voted_for: None }
    } else {
        log.hard_state
    };
    Ok(Restored {
        id: node,
        group,
        hard_state,
        anchor: LogPoint { position: anchor.position, chain: anchor.chain },
        last: LogPoint { position: last.position, chain: last.chain },
        terms: log.terms,
        applied: position.index,
        membership,
        membership_index,
        earlier_memberships,
        tail,
        lost_tail: log
            .lost_tail
            .filter(|lost| !Mistake::LostTailForgotten.is_made() || log.hard_state.term <= lost.term),
    })
}

struct Source<'a> {
    group: GroupId,
    reader: &'a dyn LogReader,
}

impl Source<'_> {
    fn point(&self, index: LogIndex) -> Result<Anchor, RestoreFailure> {
        let heads = self.heads(index, index)?;
        let head = heads.first().ok_or_else(|| self.missing(index))?;
        Ok(Anchor { position: head.position, chain: head.chain })
    }

    fn heads(&self, first: LogIndex, last: LogIndex) -> Result<Vec<EntryHead>, RestoreFailure> {
        let (group, mut next, mut heads) = (self.group, first, Vec::new());
        while next <= last {
            let entries = self
                .reader
                .entries(group, next, last, READ_BYTES)
                .map_err(|source| RestoreFailure::Unreadable { group, source })?;
            next = entries.last().ok_or_else(|| self.missing(next))?.head.position.index.next();
            heads.extend(entries.into_iter().map(|entry| entry.head));
        }
        Ok(heads)
    }

    fn missing(&self, index: LogIndex) -> RestoreFailure {
        RestoreFailure::Inconsistent { group: self.group, source: RestoreError::Tail { index } }
    }
}

/// How much is read at once.
const READ_BYTES: u64 = 4 << 20;
