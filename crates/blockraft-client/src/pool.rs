//! All members of a cluster as one client sees them, and how a question finds the one that answers it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use blockraft_transport_quic::RequestError;
use blockraft_types::{NodeId, Position};
use blockraft_wire::EncodeError;
use blockraft_wire::client::{Answer, GiveUpReason, Operation, Refusal, Request, Response};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until};

use crate::attempts::Attempts;
use crate::config::ClientOptions;
use crate::roster::Roster;
use crate::session::CurrentSession;
use crate::slot::{KNOCK_PATIENCE, Slot};
use crate::unavailable::{Trouble, Unavailable};

/// The members, who is asked first, and what the client has seen.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(crate) roster: Roster,
    pub(crate) options: ClientOptions,
    /// The id of the member that the next question goes to.
    current: AtomicU64,
    seen: Mutex<Seen>,
    turns: Semaphore,
    pub(crate) session: CurrentSession,
}

/// What answers told.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// The highest position of all answers.
    highest: Position,
    /// Who answered last, and as of which position. How a node is doing is no such answer: it is asked in passing.
    last: Option<(NodeId, Position)>,
}

/// Whether a question changes anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It may be asked again whatever became of it.
    Read,
    /// It may be asked again whatever became of it, but once an answer was lost only another answer tells its outcome.
    Repeatable,
    /// It may be asked again only if it surely wasn't carried out.
    Write,
}

/// An answer, and which member gave it.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) node: NodeId,
    pub(crate) answer: Answer,
}

/// Why there is no answer.
#[derive(Clone, Debug)]
pub(crate) enum AskError {
    /// Nothing was done.
    Unavailable(Unavailable),
    /// It may have been done.
    Unknown { node: NodeId },
    /// It will never be done.
    Refused { node: NodeId, reason: GiveUpReason },
    /// It is over the limits of the protocol.
    TooLarge(Arc<EncodeError>),
}

/// Why one attempt has no answer.
#[derive(Debug)]
pub(crate) enum AttemptError {
    /// Nothing was done; another member may do it now.
    Elsewhere(Trouble),
    /// Nothing was done; it may be done after a pause.
    Later(Trouble),
    /// It may have been done.
    Unknown(Trouble),
    /// It will never be done.
    Refused(GiveUpReason),
    /// It is over the limits of the protocol.
    TooLarge(EncodeError),
}

impl Pool {
    pub(crate) fn new(roster: Roster, first: NodeId, options: ClientOptions) -> Self {
        Self {
            roster,
            options,
            current: AtomicU64::new(first.0),
            seen: Mutex::default(),
            turns: Semaphore::new(options.requests_max.max(1)),
            session: CurrentSession::default(),
        }
    }

    /// The highest position of all answers so far.
    pub(crate) fn position(&self) -> Position {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).highest
    }

    /// Who answered last, and as of which position.
    pub(crate) fn last_answer(&self) -> Option<(NodeId, Position)> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).last
    }

    /// Never reads from before `position` again.
    pub(crate) fn observe(&self, position: Position) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.highest = position.max(seen.highest);
    }

    pub(crate) fn attempts(&self) -> Attempts {
        Attempts::new(self.options.request_time_max)
    }

    /// The member to ask now; `None` when all have failed in this round.
    pub(crate) fn next(&self, attempts: &Attempts) -> Option<Arc<Slot>> {
        attempts.next(&self.roster.slots(), NodeId(self.current.load(Ordering::Relaxed)))
    }

    /// Connects to a member, and keeps to it from now on.
    pub(crate) async fn reach(&self, slot: &Slot, attempts: &Attempts) -> Result<(), Trouble> {
        let left = attempts.deadline().saturating_duration_since(Instant::now());
        slot.link(DIAL_PATIENCE.min(left)).await?;
        slot.answered();
        self.current.store(slot.member.node.0, Ordering::Relaxed);
        Ok(())
    }

    /// Asks a member who the others are, behind the back of everybody else.
    pub(crate) fn ask_for_others(self: &Arc<Self>, slot: Arc<Slot>) {
        let pool = Arc::clone(self);
        tokio::spawn(async move {
            let deadline = Instant::now() + pool.options.connect_time_max;
            if let Ok(Answer::Status(status)) = pool.attempt(&slot, &Operation::Status, Effect::Read, deadline).await {
                pool.roster.learn(&status);
            }
        });
    }

    /// Asks until a member answers, something final happens, or the attempts' time is over.
    pub(crate) async fn ask(
        self: &Arc<Self>,
        operation: &Operation,
        effect: Effect,
        attempts: &mut Attempts,
    ) -> Result<Answered, AskError> {
        while !attempts.is_over() {
            let Some(slot) = self.next(attempts) else {
                attempts.begin_anew().await;
                continue;
            };
            let node = slot.member.node;
            match self.attempt(&slot, operation, effect, attempts.deadline()).await {
                Ok(answer) => {
                    self.current.store(node.0, Ordering::Relaxed);
                    if self.roster.is_due() {
                        self.ask_for_others(slot);
                    }
                    return Ok(Answered { node, answer });
                }
                Err(AttemptError::Elsewhere(trouble)) => attempts.failed(node, trouble),
                Err(AttemptError::Later(trouble)) => {
                    attempts.failed(node, trouble);
                    attempts.pause().await;
                }
                Err(AttemptError::Unknown(trouble)) => match effect {
                    Effect::Read => attempts.failed(node, trouble),
                    Effect::Repeatable => {
                        attempts.left_open(node);
                        attempts.failed(node, trouble);
                    }
                    Effect::Write => return Err(AskError::Unknown { node }),
                },
                Err(AttemptError::Refused(reason)) => {
                    let refused = AskError::Refused { node, reason };
                    return Err(attempts.unknown().map_or(refused, |node| AskError::Unknown { node }));
                }
                Err(AttemptError::TooLarge(error)) => return Err(AskError::TooLarge(Arc::new(error))),
            }
        }
        let unavailable = || AskError::Unavailable(attempts.unavailable(&self.roster.slots()));
        Err(attempts.unknown().map_or_else(unavailable, |node| AskError::Unknown { node }))
    }

    /// Asks one member once.
    pub(crate) async fn attempt(
        &self,
        slot: &Slot,
        operation: &Operation,
        effect: Effect,
        deadline: Instant,
    ) -> Result<Answer, AttemptError> {
        let _turn = tokio::select! {
            turn = self.turns.acquire() => turn,
            () = sleep_until(deadline) => return Err(AttemptError::Later(Trouble::Busy)),
        };
        let patience = DIAL_PATIENCE.min(deadline.saturating_duration_since(Instant::now()));
        let link = slot.link(patience).await.map_err(AttemptError::Elsewhere)?;
        // What was never sent to a node that died unnoticed isn't unknown.
        if effect != Effect::Read {
            tokio::select! {
                proven = slot.prove(&link, self.options.silence_min) => proven.map_err(AttemptError::Elsewhere)?,
                () = sleep_until(deadline) => return Err(AttemptError::Elsewhere(Trouble::NoAnswer)),
            }
        }
        let request = Request { position: self.position(), operation: operation.clone() };
        let (header, body) = request.encode().map_err(AttemptError::TooLarge)?.into_parts();
        let silence = match effect {
            Effect::Read | Effect::Repeatable => KNOCK_PATIENCE,
            Effect::Write => self.options.silence_max,
        };
        let answered = tokio::select! {
            biased;
            answered = link.request(header, body) => answered,
            () = slot.until_dead(self.options.silence_min, silence) => {
                tracing::info!(node = %slot.member.node, "member_found_dead");
                Err(RequestError::Unknown)
            }
            () = sleep_until(deadline) => return Err(AttemptError::Unknown(Trouble::NoAnswer)),
        };
        let response = match answered {
            Ok((header, body)) => Response::decode_parts(header, body),
            Err(RequestError::Busy) => return Err(AttemptError::Elsewhere(Trouble::Busy)),
            Err(RequestError::NotSent) => {
                slot.forget(&link);
                return Err(AttemptError::Elsewhere(Trouble::NoAnswer));
            }
            // Both ends have the same limits, so nothing that was encoded is over those of the connection; if it ever
            // is, it wasn't sent.
            Err(RequestError::TooLarge { .. }) => return Err(AttemptError::Elsewhere(Trouble::Malformed)),
            Err(_unknown) => {
                slot.forget(&link);
                return Err(AttemptError::Unknown(Trouble::NoAnswer));
            }
        };
        slot.answered();
        match response {
            Ok(Response::Answered { position, answer }) if fits(operation, &answer) => {
                self.observe(position);
                if !matches!(answer, Answer::Status(_)) {
                    self.seen.lock().unwrap_or_else(PoisonError::into_inner).last = Some((slot.member.node, position));
                }
                Ok(answer)
            }
            Ok(Response::Refused(refusal)) => Err(refused(refusal)),
            Ok(Response::Answered { .. }) | Err(_) => {
                tracing::warn!(node = %slot.member.node, "received_malformed_answer");
                Err(AttemptError::Unknown(Trouble::Malformed))
            }
        }
    }
}

fn refused(refusal: Refusal) -> AttemptError {
    match refusal {
        Refusal::RetryElsewhere { .. } => AttemptError::Elsewhere(Trouble::Refused(refusal)),
        Refusal::RetryLater { .. } => AttemptError::Later(Trouble::Refused(refusal)),
        Refusal::OutcomeUnknown => AttemptError::Unknown(Trouble::Refused(refusal)),
        Refusal::GiveUp { reason } => AttemptError::Refused(reason),
    }
}

/// Whether an answer is one to this question: of its kind, with an outcome for each block.
fn fits(operation: &Operation, answer: &Answer) -> bool {
    match (operation, answer) {
        (Operation::Put { blocks } | Operation::PutInSession { blocks, .. }, Answer::Put { outcomes }) => {
            blocks.len() == outcomes.len()
        }
        (Operation::Get { multihashes, .. }, Answer::Get { blocks }) => multihashes.len() == blocks.len(),
        (Operation::Stat { multihashes, .. }, Answer::Stat { presences }) => multihashes.len() == presences.len(),
        (
            Operation::Delete { multihashes } | Operation::DeleteInSession { multihashes, .. },
            Answer::Delete { outcomes },
        ) => multihashes.len() == outcomes.len(),
        (Operation::List { cursor, .. }, Answer::List { next, .. }) => {
            // A listing that doesn't move on would never end.
            !matches!((cursor, next), (Some(from), Some(next)) if next.after <= from.after)
        }
        (Operation::Status, Answer::Status(_))
        | (Operation::ChangeMembers(_), Answer::ChangeMembers { .. })
        | (Operation::OpenSession, Answer::SessionOpened { .. }) => true,
        (
            Operation::Put { .. }
            | Operation::Get { .. }
            | Operation::Stat { .. }
            | Operation::Delete { .. }
            | Operation::List { .. }
            | Operation::Status
            | Operation::ChangeMembers(_)
            | Operation::OpenSession
            | Operation::PutInSession { .. }
            | Operation::DeleteInSession { .. },
            _,
        ) => false,
    }
}

/// How long a caller waits for a dial before it asks another member; the dial goes on.
const DIAL_PATIENCE: Duration = Duration::from_millis(250);
