//! A Raft member as a pure state machine. It does no I/O, reads no clock and draws no random number it was not given.
//!
//! # What it is
//!
//! [Raft](https://raft.github.io/raft.pdf) keeps a log of entries equal on several members, so that it survives the loss
//! of any minority of them. For a newcomer, in five sentences: time is divided into *terms*, each with at most one
//! *leader*, elected by a majority. Only the leader appends entries; it sends them to its *followers*, who take an entry
//! only if their log agrees with the leader's before it. An entry that is durable on a majority is *committed*: no later
//! leader can lack it, because nobody gives a vote to a candidate whose log is older than the own one. A follower that
//! hears no leader for a while becomes a *candidate* in a new term; before that it asks, as a *pre-candidate*, whether it
//! could win, so that nobody is disturbed in vain. Members apply committed entries in order, each to its own copy of the
//! state.
//!
//! Who the members are is decided in the same log. A *configuration* is in force from the moment that it is appended; one
//! with other voters is reached through a *joint* one, in which majorities of both the old and the new voters are needed.
//! A *learner* is a member that gets the log and isn't counted.
//!
//! [`Raft`] is one member: [`step`](Raft::step) takes in what happened, [`take_ready`](Raft::take_ready) gives what is to
//! be done. `step` cannot fail and nothing that a peer sends can make it panic. It is a plain value (`Clone`, `Eq`,
//! `Hash`), so the same code runs in production, in a simulator and under a model checker.
//!
//! It is *not* a server: it knows neither seconds nor sockets nor files, and of an entry only the head, never the body.
//! Its memory depends on the number of terms in the log and on what is uncommitted.
//!
//! # Words
//!
//! The paper's, and a few of our own:
//!
//! - A **head** is what consensus reads of an entry: its *position* (term and index), kind, size and digests. The **body**
//!   is the command; bulk data that a command only names is its **payload**.
//! - The **chain digest** of an entry covers the entry and all before it. With the position it is a [`LogPoint`].
//! - The **anchor** is the point after which the log begins: that of the last compaction or snapshot, or *genesis*.
//! - A **batch** ([`Persist`]) has to become durable at once. With it goes a *ticket*, for which the disk gives a
//!   *receipt*; a **sealed** message leaves only with that receipt. So no promise leaves before it is durable.
//! - The **gate** is the caller's: it holds an append back until the payloads of its entries are durable here.
//! - A **group** is one log with its members; a node may have many. An *incarnation* names a node's data directory: who
//!   lost it comes back as a stranger.
//! - A **stream** is one attempt at replication to one follower, a **round** one heartbeat to everyone, a **campaign** one
//!   ballot. An answer names its own, so that a late one counts for nothing.
//!
//! # Where it stands
//!
//! Floor 1, above `blockraft-types`. `blockraft-driver` runs it in production.
//!
//! # Example
//!
//! Three members in a loop, with a network that loses nothing and a disk that is always at once durable:
//!
//! ```
//! use std::collections::VecDeque;
//!
//! use blockraft_core::{BodyHead, Config, Input, ProposalTicket, Raft, Restored};
//! use blockraft_types::{ClusterId, EntryHead, GroupId, Incarnation, LogIndex, Membership, Message, NodeId, Role};
//!
//! let ids = [NodeId(1), NodeId(2), NodeId(3)];
//! let members = Membership::of_voters(ids.map(|id| (id, Incarnation::from_bytes([id.0 as u8; 16]))));
//! let cluster = ClusterId::from_bytes([7; 16]);
//! let genesis = Restored::born(ids[0], cluster, GroupId(0), members.clone()).anchor.chain;
//! let mut rafts = ids.map(|id| {
//!     let restored = Restored::born(id, cluster, GroupId(0), members.clone());
//!     Raft::new(Config::default(), id.0, restored).expect("a newborn member contradicts nothing")
//! });
//! let mut logs: [Vec<EntryHead>; 3] = Default::default();
//! let mut network = VecDeque::new();
//! let (mut proposed, mut applied) = (false, [LogIndex::ZERO; 3]);
//!
//! while applied.iter().any(|&index| index < LogIndex(2)) {
//!     for (at, raft) in rafts.iter_mut().enumerate() {
//!         raft.step(Input::Tick);
//!         if raft.role() == Role::Leader && !proposed {
//!             let bodies = vec![BodyHead::of(b"a command").expect("small")];
//!             raft.step(Input::Propose { ticket: ProposalTicket(1), bodies });
//!             proposed = true;
//!         }
//!         loop {
//!             let ready = raft.take_ready();
//!             if ready.is_empty() {
//!                 break;
//!             }
//!             if let Some(persist) = ready.persist {
//!                 if let Some(from) = persist.truncate_from {
//!                     logs[at].truncate(from.0 as usize - 1);
//!                 }
//!                 logs[at].extend(persist.heads);
//!                 // Here the disk would sync. Only then:
//!                 let receipt = persist.ticket.redeem();
//!                 for sealed in ready.sealed {
//!                     let (to, message) = sealed.open(&receipt).expect("its batch is durable");
//!                     network.push_back((ids[at], to, message));
//!                 }
//!                 raft.step(Input::Persisted(receipt));
//!             }
//!             network.extend(ready.messages.into_iter().map(|out| (ids[at], out.to, out.message)));
//!             for range in ready.appends {
//!                 let (prev, last) = (range.prev.index.0 as usize, range.last.0 as usize);
//!                 let prev_chain = if prev == 0 { genesis } else { logs[at][prev - 1].chain };
//!                 let (message, sent) = range.fill(prev_chain, logs[at][prev..last].to_vec()).expect("it is our log");
//!                 network.push_back((ids[at], range.to, Message::AppendEntries(message)));
//!                 raft.step(Input::AppendSent(sent));
//!             }
//!             if let Some(committed) = ready.committed {
//!                 applied[at] = committed.last.index;
//!                 raft.step(Input::Applied { index: applied[at] });
//!             }
//!         }
//!     }
//!     for (from, to, message) in network.drain(..) {
//!         rafts[to.0 as usize - 1].step(Input::Message { from, message });
//!     }
//! }
//! assert_eq!(logs[0], logs[1]);
//! assert_eq!(logs[1], logs[2]);
//! ```
//!
//! # Three walks through the code
//!
//! Stories are the plays in `tests/scripts`: plain text, run as tests.
//!
//! **One append** (Raft paper, sections 5.3 and 5.4; story 01, and 03 for figure 8)
//!
//! 1. [`Input::Propose`] reaches `Leader::propose`, which appends the heads to the log and so to the next batch.
//! 2. [`take_ready`](Raft::take_ready) gives the batch out as [`Persist`] and, from `Progress::next_range`, an
//!    [`AppendRange`] for each follower with room in its window: the leader's disk and the network work at the same time
//!    (thesis 10.2.1).
//! 3. `Follower::append` refuses unless the entry before matches; then it drops what conflicts, appends what is new, and
//!    seals its answer until that is durable.
//! 4. `Leader::append_answered` notes how far the follower is. `Leader::advance_commit` commits what a majority holds
//!    durably, through an entry of its own term; its own copy counts like any other, by its receipt.
//! 5. [`Ready::committed`] says what to apply. Followers learn the commit index with the next append or heartbeat.
//!
//! **One election** (Raft paper, sections 5.2 and 5.4.1; thesis 9.6; stories 01 and 02)
//!
//! 1. `Follower::tick` finds the election timeout over, and `Candidate::begin_pre_vote` asks everyone for a vote to come.
//!    Nobody's term or vote changes.
//! 2. Who heard a leader of late refuses (`Raft::receive_vote_request`, thesis 4.2.3). Others say yes if their vote is free
//!    and the candidate's log is not older than their own (`Member::answer_vote`).
//! 3. With a majority, `Candidate::begin_vote` enters the next term, votes for itself and asks in earnest. No request or
//!    answer leaves, and its own vote isn't counted, before term and vote are durable.
//! 4. With a majority again, `Leader::begin` appends a no-op. Committing it commits everything before it.
//! 5. Whoever sees a higher term enters it and follows (`Raft::receive`); a leader that a majority no longer answers
//!    steps down by itself (`Leader::tick`, thesis 6.2).
//!
//! **One change of members** (Raft paper, section 6; thesis, chapter 4; stories 15 and 16)
//!
//! 1. A newcomer is added as a learner and catches up, with a snapshot if the leader's log is compacted.
//! 2. `Leader::change_members` begins a change only when an entry of its term is committed, no other change is under way,
//!    who is promoted has caught up, and the new majorities answer. `reconfiguration::plan` makes the joint configuration.
//! 3. It is in force at once (`Member::append`), here and with each follower that appends it; a truncation brings back
//!    the one before. Every `Electorate` now needs both majorities.
//! 4. Once it is committed, the leader, this or a later one, appends the configuration without the old voters
//!    (`Leader::go_on_with_change`). A leader that is removed hands over when that is committed; who else is removed is
//!    told for a while (`Departures`).
//! 5. If it can't be committed, the leader that began it may go back to the old one (`Leader::revertible`).
//!
//! # Where each promise is kept
//!
//! | promise | kept by |
//! |---|---|
//! | Election Safety (5.2): one leader per term | `Member` forgets a vote only when the term grows, and seals whatever names a term until that is durable; `Electorate` knows majorities |
//! | Leader Append-Only (5.3) | only `Follower::append` truncates |
//! | Log Matching (5.3) | `match_prev` and `merge` of `follower.rs`, by terms; chain digests prove it where they are held |
//! | Leader Completeness (5.4) | `Member::answer_vote` compares logs; `Leader::advance_commit` never commits an older term's entry by counting |
//! | State Machine Safety (5.4.3) | `Member::commit_to` and `Member::truncate_from` assert it; `Member::take_committed` gives out only what is durable |
//! | the same, although a disk forgot what was acknowledged | `Recovery`, the rule and its proof; story 17 |
//! | no promise before its durability | `Durability` numbers the batches, [`Sealed`] waits |
//! | any two majorities that could decide at once share a member (6) | `Leader::plan_change`, `reconfiguration`, `MembershipHistory` |
//! | a read sees every write that was answered before it came (thesis 6.4) | `Reads`, `Leader::may_read` |
//! | a late answer moves nothing | `Progress` by stream, `Candidate` by campaign, `Reads` by round |
//!
//! # Reading order
//!
//! From what goes in and comes out, over the roles, to what they stand on. `cargo xtask arrows core` draws who uses
//! whom.
//!
//! | file | is about |
//! |---|---|
//! | [`input.rs`](../src/blockraft_core/input.rs.html) | what can happen to a member |
//! | [`ready.rs`](../src/blockraft_core/ready.rs.html) | what it wants done |
//! | [`append_range.rs`](../src/blockraft_core/append_range.rs.html) | an append as an order: the caller adds the entries |
//! | [`sealed.rs`](../src/blockraft_core/sealed.rs.html) | messages that wait for the disk |
//! | [`log_point.rs`](../src/blockraft_core/log_point.rs.html) | a position with its chain digest |
//! | [`snapshot.rs`](../src/blockraft_core/snapshot.rs.html) | what takes the place of a log's beginning (section 7) |
//! | [`alarm.rs`](../src/blockraft_core/alarm.rs.html) | what never happens among the healthy |
//! | **the roles** | |
//! | [`raft.rs`](../src/blockraft_core/raft.rs.html) | each input to the role that it concerns; the rules about terms (5.1) |
//! | [`transition.rs`](../src/blockraft_core/transition.rs.html) | what a role asks for when it can't go on |
//! | [`follower.rs`](../src/blockraft_core/follower.rs.html) | takes entries (5.3), waits for a leader (5.2) |
//! | [`candidate.rs`](../src/blockraft_core/candidate.rs.html) | asks for votes (5.2, thesis 9.6) |
//! | [`leader.rs`](../src/blockraft_core/leader.rs.html) | orders entries, commits (5.4.2), confirms reads, changes members, hands over |
//! | **what a leader keeps** | |
//! | [`progress.rs`](../src/blockraft_core/progress.rs.html) | how far one follower is, and what to send it (thesis 10.2) |
//! | [`inflight.rs`](../src/blockraft_core/inflight.rs.html) | the window of one follower |
//! | [`reads.rs`](../src/blockraft_core/reads.rs.html) | reads that wait for a round (thesis 6.4) |
//! | [`reconfiguration.rs`](../src/blockraft_core/reconfiguration.rs.html) | which configuration comes after which (section 6) |
//! | [`departures.rs`](../src/blockraft_core/departures.rs.html) | who was removed and doesn't know it yet (thesis 4.2.3) |
//! | **what every role has** | |
//! | [`member.rs`](../src/blockraft_core/member.rs.html) | term, vote, log, commit index: figure 2's state and the rules that no role may bend |
//! | [`log_view.rs`](../src/blockraft_core/log_view.rs.html) | the log without its entries: terms, ends, digests |
//! | [`durability.rs`](../src/blockraft_core/durability.rs.html) | what is durable, under way, or in the next batch |
//! | [`membership_history.rs`](../src/blockraft_core/membership_history.rs.html) | which configuration is in force |
//! | [`quorum.rs`](../src/blockraft_core/quorum.rs.html) | majorities |
//! | [`election_clock.rs`](../src/blockraft_core/election_clock.rs.html) | how long no leader was heard |
//! | [`dice.rs`](../src/blockraft_core/dice.rs.html) | the chance in that |
//! | [`abstention.rs`](../src/blockraft_core/abstention.rs.html) | why who could not commit doesn't campaign |
//! | [`recovery.rs`](../src/blockraft_core/recovery.rs.html) | why who lost the end of its log doesn't vote, and until when |
//! | [`outbox.rs`](../src/blockraft_core/outbox.rs.html) | effects that wait to be taken |
//! | **beginning, looking in** | |
//! | [`restored.rs`](../src/blockraft_core/restored.rs.html) | what a member remembers when it starts |
//! | [`config.rs`](../src/blockraft_core/config.rs.html) | settings and bounds |
//! | [`status.rs`](../src/blockraft_core/status.rs.html) | a member seen from outside |
//! | [`mistake.rs`](../src/blockraft_core/mistake.rs.html) | known ways to get Raft wrong |
//!
//! Wherever you read `config.errs(Mistake::…)`, read `false`: test builds alone can switch a mistake on, to prove that the
//! tests would notice it.
//!
//! Of the tests, `src/tests/paper.rs` has one for each claim of the paper, `src/tests/pitfalls.rs` one for each bug that
//! others had.
//!
//! # The caller's duties
//!
//! 1. **Restore.** Give [`Raft::new`] what is durable, all of it and nothing else: term and vote, the ends and term
//!    boundaries of the log, the heads after the applied entry, the applied index and the configuration at it; and
//!    [what is known to be lost](Restored::lost_tail) of the log, which the log must remember until it is made good.
//! 2. **Step, then take.** Hand in everything that waits, then call [`Raft::take_ready`] once and perform all of it, in
//!    any order but for duties 3 to 5. Take again after a bounded number of steps: what was asked for gathers until then.
//! 3. **Persist in order.** Write [`Persist`] batches in the order in which they were taken, each as a whole. When one
//!    would survive a power cut, redeem its ticket and hand in [`Input::Persisted`]. Several may be under way. If a write
//!    or sync fails, never redeem, never retry: stop the member.
//! 4. **Keep seals closed.** Send a [`Sealed`] message only after its seal opened; drop them all at a restart.
//! 5. **Fill ranges.** For each [`AppendRange`], read entries from what was handed out so far (durable or not), give them
//!    to [`AppendRange::fill`], send the message with the bodies beside it, and hand in [`Input::AppendSent`] before any
//!    later message of that peer. If that can't be done, hand in [`Input::Unreachable`].
//! 6. **Let in only what may enter.** Pass on messages of authenticated nodes, each with its true sender, also of those
//!    that aren't known as members: one may be the leader that this member needs. Of an append
//!    pass on at most the prefix whose bodies match their heads and whose payloads are durable here, in the order of
//!    arrival, and say what is held back with [`Input::PayloadWaiting`]. Hold back nothing but appends.
//! 7. **Apply in order.** Apply `ready.committed`, then hand in [`Input::Applied`]. Answer a read once its index is
//!    applied. Compact at most up to [`Status::compactable_through`], then hand in [`Input::Compacted`]; compacting less
//!    spares followers that are a little behind a snapshot.
//! 8. **Tick evenly**, and say [`Input::StorageStalled`] when the oldest persist batch is older than an election timeout.
//! 9. **Watch the fate of proposals.** An accepted proposal is committed when its position is applied with its term, and
//!    lost when another term stands there. If neither is known, the outcome is unknown, never "failed".
//! 10. **Install snapshots whole.** Get what [`Ready::snapshot_wanted`] asks for, from whomever has it; when it is
//!     complete and durable beside the present state, hand in [`Input::InstallSnapshot`], and perform the
//!     [reset](Persist::reset) in its order, or drop it when it is [unneeded](Ready::snapshot_unneeded). A state machine
//!     that is found ahead of its log, or in conflict with it, at a start stopped half-way in there: reset the log to it.
//! 11. **Name nobody twice.** A node that lost its disk gets a new id; messages under an id that was removed, or from
//!     another data directory than its configuration names, are refused before they come here. Connect to the members of
//!     [`Ready::membership`].
//! 12. **Heed alarms.** An [`Alarm`] is an operator's business; the member goes on in the safe direction by itself. What it
//!     [proves](Alarm::proves) tells a slow member from damage and from mistakes.
//!
//! # Errors
//!
//! [`ConfigError`] and [`RestoreError`] before a member exists; none afterwards. Proposals and reads are refused as
//! values, with the leader's name where one is known.
//!
//! # Limits
//!
//! Every bound is in [`Options`]; a group has at most [`MEMBERS_MAX`](blockraft_types::membership::MEMBERS_MAX) members.
//! Snapshots are offered and installed here; how they travel is the driver's affair.
#![no_std]
#![deny(clippy::indexing_slicing)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod alarm;
pub mod append_range;
pub mod input;
pub mod log_point;
pub mod ready;
pub mod sealed;
pub mod snapshot;

mod candidate;
mod follower;
mod leader;
pub mod raft;
mod transition;

mod departures;
mod inflight;
mod progress;
mod reads;
mod reconfiguration;

mod abstention;
mod dice;
mod durability;
mod election_clock;
mod log_view;
mod member;
mod membership_history;
mod outbox;
mod quorum;
pub mod recovery;

pub mod config;
mod mistake;
pub mod restored;
pub mod status;

pub use alarm::{Alarm, Proof};
pub use append_range::{AppendRange, AppendSent};
pub use config::{Config, ConfigError, Options};
pub use input::{BodyHead, ChangeTicket, Input, ProposalTicket, ReadTicket};
pub use log_point::LogPoint;
#[cfg(seeded_bugs)]
pub use mistake::Mistake;
pub use raft::Raft;
pub use ready::{Persist, Ready};
pub use restored::{RestoreError, Restored};
pub use sealed::Sealed;
pub use snapshot::{Snapshot, SnapshotOffer};
pub use status::Status;

#[cfg(test)]
mod tests;
