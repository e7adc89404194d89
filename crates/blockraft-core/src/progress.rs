//! How far one follower is, as its leader knows it, and what to send it next (thesis 10.2; etcd's Progress).
//!
//! Every range that is sent belongs to a stream. Going back to probing begins another stream, and answers to an earlier
//! one move nothing. From every state a bounded number of answered heartbeats leads to another append.

use blockraft_types::message::{AppendVerdict, ConflictHint, HeartbeatReply, ReadRound, StreamEpoch};
use blockraft_types::{LogIndex, NodeId, Position, Term};

use crate::append_range::{AppendRange, AppendSent};
use crate::config::Config;
use crate::inflight::Inflight;
use crate::log_point::LogPoint;
use crate::log_view::LogView;
use crate::mistake::Mistake;
use crate::status::{ProgressState, ProgressStatus};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Progress {
    state: State,
    /// The last entry known to be durable there. `match_index < next_index`.
    match_index: LogIndex,
    next_index: LogIndex,
    stream: StreamEpoch,
    /// The last entry sent in this stream; at least `match_index`.
    sent_through: LogIndex,
    inflight: Inflight,
    order: Order,
    /// The last round that it answered.
    answered_round: ReadRound,
    /// Heartbeats answered since something was sent or acknowledged, while an answer to an append is due.
    answers_without_progress: u32,
    /// A heartbeat of this round was sent when the follower was known to hold this entry: its answer must not deny it.
    must_still_hold: Option<(ReadRound, LogIndex)>,
    /// Ticks since it was last heard.
    silent_ticks: u32,
    /// Ticks since it was last level, got on, or had a reason not to.
    frozen_ticks: u32,
    /// The entry whose payload its gate waits for.
    waiting_for: Option<LogIndex>,
    /// The commit index that it was told last.
    told_commit: LogIndex,
}

/// An answer to a heartbeat that comes this often without an answer to an append means that the append was lost. The
/// first one may have crossed the append on its way.
const ANSWERS_BEFORE_PROBE: u32 = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum State {
    /// One append, then wait for its answer.
    Probe(Wait),
    Replicate,
    /// A snapshot is offered until it is installed there.
    Snapshot,
    /// It lost what it had acknowledged: nothing that it says counts in this term.
    Fenced,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Wait {
    None,
    ForAnswer,
}

/// Whether the driver is filling in a range: at most one per follower at a time, since only it knows how much fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Order {
    None,
    Out { prev: LogIndex },
}

/// What an answer revealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    Nothing,
    /// The follower denies what it once acknowledged.
    Regressed {
        matched: LogIndex,
        reported: LogIndex,
    },
    /// It answers heartbeats but doesn't get on.
    Frozen,
}

/// The entries to be sent next are compacted here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NeedsSnapshot;

impl Progress {
    /// A follower of which a new leader knows nothing: probe at the end of the log (Raft paper, section 5.3).
    pub(crate) fn new(last: LogIndex) -> Self {
        Self {
            state: State::Probe(Wait::None),
            match_index: LogIndex::ZERO,
            next_index: last.next(),
            stream: StreamEpoch(1),
            sent_through: LogIndex::ZERO,
            inflight: Inflight::default(),
            order: Order::None,
            answers_without_progress: 0,
            answered_round: ReadRound(0),
            must_still_hold: None,
            silent_ticks: 0,
            frozen_ticks: 0,
            waiting_for: None,
            told_commit: LogIndex::ZERO,
        }
    }

    /// The last entry that counts as durable there.
    pub(crate) const fn match_index(&self) -> LogIndex {
        self.match_index
    }

    pub(crate) const fn answered_round(&self) -> ReadRound {
        self.answered_round
    }

    pub(crate) const fn is_fenced(&self) -> bool {
        matches!(self.state, State::Fenced)
    }

    /// The stream in which a snapshot is offered, if one is.
    pub(crate) fn snapshot_stream(&self) -> Option<StreamEpoch> {
        (self.state == State::Snapshot).then_some(self.stream)
    }

    /// Whether it holds the log up to `index` and gets what comes after as it comes.
    pub(crate) fn has_caught_up(&self, index: LogIndex) -> bool {
        self.state == State::Replicate && index <= self.match_index
    }

    /// Whether it was told, at the latest, that `index` is committed.
    pub(crate) fn knows_commit(&self, index: LogIndex) -> bool {
        index <= self.told_commit
    }

    /// Whether it was heard within `ticks`.
    pub(crate) const fn is_heard_within(&self, ticks: u32) -> bool {
        self.silent_ticks < ticks && !self.is_fenced()
    }

    /// Time passes. Says once when a follower that answers has stood still for `patience` ticks.
    pub(crate) fn tick(&mut self, last: LogIndex, patience: u32) -> Finding {
        self.silent_ticks = self.silent_ticks.saturating_add(1).min(patience);
        let behind = self.match_index < last && self.waiting_for.is_none();
        if !behind || self.is_fenced() || self.state == State::Snapshot {
            self.frozen_ticks = 0;
            return Finding::Nothing;
        }
        self.frozen_ticks = self.frozen_ticks.saturating_add(1).min(patience.saturating_add(1));
        if self.frozen_ticks == patience && self.silent_ticks < patience { Finding::Frozen } else { Finding::Nothing }
    }

    /// What the next heartbeat, of `round`, tells as committed: never more than the follower proved.
    pub(crate) fn heartbeat_commit(&mut self, round: ReadRound, commit_index: LogIndex, config: &Config) -> LogIndex {
        if self.must_still_hold.is_none() && LogIndex::ZERO < self.match_index {
            self.must_still_hold = Some((round, self.match_index));
        }
        self.repeated_commit(commit_index, config)
    }

    /// The same for a heartbeat that repeats a round. Its answer can't be told from one that was sent earlier, so it
    /// pledges nothing.
    pub(crate) fn repeated_commit(&mut self, commit_index: LogIndex, config: &Config) -> LogIndex {
        self.told_commit = commit_index.min(self.match_index);
        if config.errs(Mistake::CommitBeyondProof) { commit_index } else { self.told_commit }
    }

    /// Whether it can learn of a commit that nothing on its way will tell it.
    pub(crate) fn misses_commit(&self, commit_index: LogIndex) -> bool {
        let idle = self.state == State::Replicate && self.order == Order::None;
        idle && self.told_commit < commit_index.min(self.match_index)
    }

    /// The next range to send, if something may be sent now. Entries after `readable` aren't known to the driver yet.
    pub(crate) fn next_range(
        &mut self,
        to: NodeId,
        term: Term,
        log: &LogView,
        readable: LogIndex,
        commit_index: LogIndex,
        config: &Config,
    ) -> Option<Result<AppendRange, NeedsSnapshot>> {
        if self.order != Order::None {
            return None;
        }
        let room = self.inflight.room(config.options())?;
        match self.state {
            State::Fenced | State::Snapshot | State::Probe(Wait::ForAnswer) => return None,
            State::Replicate if readable < self.next_index => return None,
            State::Replicate | State::Probe(Wait::None) => {}
        }
        let prev_index = self.next_index.previous();
        if readable < prev_index {
            return None;
        }
        let Some(prev_term) = log.term_at(prev_index) else {
            self.state = State::Snapshot;
            return Some(Err(NeedsSnapshot));
        };
        let last = prev_index.plus(config.options().append_entries_max).min(readable);
        let known = [last, prev_index.next()].into_iter().find_map(|index| {
            let (term, chain) = (log.term_at(index)?, log.chain_at(index)?);
            (prev_index < index).then_some(LogPoint { position: Position { term, index }, chain })
        });
        self.order = Order::Out { prev: prev_index };
        self.told_commit = commit_index.min(last);
        if config.errs(Mistake::MatchOnSend) {
            self.match_index = self.match_index.max(last);
        }
        Some(Ok(AppendRange {
            to,
            term,
            stream: self.stream,
            prev: Position { term: prev_term, index: prev_index },
            prev_chain: log.chain_at(prev_index),
            last,
            terms: log.runs(prev_index.next(), last),
            known,
            bytes_max: room,
            leader_commit: commit_index,
        }))
    }

    /// The driver sent the range that was ordered, or as much of it as fitted.
    pub(crate) fn sent(&mut self, sent: AppendSent) {
        let prev = sent.prev;
        if sent.stream != self.stream || self.order != (Order::Out { prev }) {
            return;
        }
        self.order = Order::None;
        self.sent_through = self.sent_through.max(sent.last);
        if prev < sent.last {
            self.inflight.push(sent.last, sent.bytes);
        }
        match self.state {
            State::Probe(_) => self.state = State::Probe(Wait::ForAnswer),
            State::Replicate => self.next_index = sent.last.next(),
            State::Snapshot | State::Fenced => {}
        }
    }

    /// An answer to an append of this stream.
    pub(crate) fn answered(
        &mut self,
        stream: StreamEpoch,
        verdict: AppendVerdict,
        log: &LogView,
        config: &Config,
    ) -> Finding {
        self.silent_ticks = 0;
        let stale_counts = config.errs(Mistake::StaleRepliesCount);
        if self.is_fenced() || (stream != self.stream && !stale_counts) {
            return Finding::Nothing;
        }
        match verdict {
            AppendVerdict::Matched { match_index } => {
                // Nobody can have matched what was never sent.
                if match_index <= self.sent_through || stale_counts {
                    self.matched(match_index.min(log.last_index()));
                }
                Finding::Nothing
            }
            AppendVerdict::Conflict { prev_index, hint } => self.conflicted(prev_index, hint, log),
        }
    }

    fn matched(&mut self, match_index: LogIndex) {
        self.answers_without_progress = 0;
        if self.match_index < match_index {
            self.frozen_ticks = 0;
        }
        self.match_index = self.match_index.max(match_index);
        self.sent_through = self.sent_through.max(self.match_index);
        self.next_index = self.next_index.max(self.match_index.next());
        self.inflight.free_through(self.match_index);
        if matches!(self.state, State::Probe(_)) {
            self.state = State::Replicate;
            // A gate may let in the first part of an append before the rest: what this stream sent is on its way.
            self.next_index = self.sent_through.next();
        }
        assert!(self.match_index < self.next_index, "what matched is not sent again");
    }

    fn conflicted(&mut self, prev_index: LogIndex, hint: ConflictHint, log: &LogView) -> Finding {
        match self.state {
            // An append of the pipeline was lost on the way, so a later one found a gap.
            State::Replicate => {
                self.probe();
                Finding::Nothing
            }
            State::Probe(_) if prev_index == self.next_index.previous() => {
                if prev_index <= self.match_index {
                    return self.fence(hint.last.index);
                }
                let next = next_probe(prev_index, hint, log);
                self.next_index = next.max(self.match_index.next()).min(prev_index);
                self.state = State::Probe(Wait::None);
                self.sent_through = self.match_index;
                self.order = Order::None;
                self.inflight.clear();
                self.answers_without_progress = 0;
                Finding::Nothing
            }
            State::Probe(_) | State::Snapshot | State::Fenced => Finding::Nothing,
        }
    }

    /// The follower covers everything up to `last`, durably, by a snapshot or otherwise. Goes on after it, if this log
    /// has that entry and what comes after it.
    pub(crate) fn installed(&mut self, stream: StreamEpoch, last: Position, log: &LogView) {
        self.silent_ticks = 0;
        if self.snapshot_stream() == Some(stream) && log.term_at(last.index) == Some(last.term) {
            self.match_index = self.match_index.max(last.index);
            self.probe();
        }
    }

    /// An answer to a heartbeat of this term, to the leader of this log.
    pub(crate) fn heartbeat_answered(&mut self, reply: HeartbeatReply, log: &LogView) -> Finding {
        self.silent_ticks = 0;
        self.waiting_for = reply.waiting_for;
        if self.is_fenced() || reply.round <= self.answered_round {
            return Finding::Nothing;
        }
        self.answered_round = reply.round;
        if let Some((round, matched)) = self.must_still_hold
            && round <= reply.round
        {
            self.must_still_hold = None;
            if reply.last_durable < matched {
                return self.fence(reply.last_durable);
            }
        }
        // What it waits for may have been deleted since, and then nobody has it any more: a snapshot names what there is.
        if self.state == State::Replicate && self.waiting_for.is_some_and(|index| index <= log.anchor().position.index)
        {
            self.probe();
            return Finding::Nothing;
        }
        let answer_is_due = !self.inflight.is_empty() || self.order != Order::None || self.state != State::Replicate;
        if !answer_is_due || self.waiting_for.is_some() {
            self.answers_without_progress = 0;
            return Finding::Nothing;
        }
        self.answers_without_progress = self.answers_without_progress.saturating_add(1);
        if ANSWERS_BEFORE_PROBE <= self.answers_without_progress && self.state != State::Snapshot {
            self.probe();
        }
        Finding::Nothing
    }

    /// Something sent to it was dropped. Probe with the next sign of life, not before: it may be down.
    pub(crate) fn unreachable(&mut self) {
        if matches!(self.state, State::Probe(_) | State::Replicate) {
            self.probe();
            self.state = State::Probe(Wait::ForAnswer);
            self.answers_without_progress = ANSWERS_BEFORE_PROBE - 1;
        }
    }

    /// Begins another stream at the first entry that isn't known to match.
    fn probe(&mut self) {
        // A leader that never heard where the logs agree goes on from where it probed last.
        if LogIndex::ZERO < self.match_index {
            self.next_index = self.match_index.next();
        }
        self.state = State::Probe(Wait::None);
        self.stream = StreamEpoch(self.stream.0.saturating_add(1));
        self.sent_through = self.match_index;
        self.inflight.clear();
        self.order = Order::None;
        self.answers_without_progress = 0;
    }

    fn fence(&mut self, reported: LogIndex) -> Finding {
        let matched = self.match_index;
        self.probe();
        self.state = State::Fenced;
        self.match_index = LogIndex::ZERO;
        Finding::Regressed { matched, reported }
    }

    pub(crate) fn status(&self) -> ProgressStatus {
        ProgressStatus {
            state: match self.state {
                State::Probe(_) => ProgressState::Probe,
                State::Replicate => ProgressState::Replicate,
                State::Snapshot => ProgressState::Snapshot,
                State::Fenced => ProgressState::Fenced,
            },
            match_index: self.match_index,
            next_index: self.next_index,
            inflight_messages: self.inflight.messages(),
            inflight_bytes: self.inflight.bytes(),
            silent_ticks: self.silent_ticks,
            waiting_for: self.waiting_for,
        }
    }
}

/// Where to probe next after a conflict at `prev_index`: at most about one probe for each term in which the logs differ
/// (Raft paper, end of section 5.3).
fn next_probe(prev_index: LogIndex, hint: ConflictHint, log: &LogView) -> LogIndex {
    let Some(their_term) = hint.term else {
        // Too short a log: its last entry is the latest candidate, if this log has a run of that term there.
        let candidate = hint.last.index.min(prev_index.previous());
        let ours = log.newest_within(candidate, hint.last.term);
        return ours.next();
    };
    // This log's newest entry before the conflict whose term isn't above theirs: everything later differs for certain.
    let ours = log.newest_within(prev_index.previous(), their_term);
    if log.term_at(ours) == Some(their_term) { ours.next() } else { hint.first_index.min(ours.next()) }
}
