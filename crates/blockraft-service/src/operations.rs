//! What each operation of a client asks of the node, and how the node's answers read on the wire.

use blockraft_blocks::limits::BlockTooLarge;
use blockraft_blocks::{Block, BlockLimits, Multihash};
use blockraft_node::{
    Answer as NodeAnswer, Consistency as NodeConsistency, MembersError, MembersObstacle, MembersOutcome, Obstacle,
    Outcome, ReadError, WriteError, Written,
};
use blockraft_transport_quic::ClientName;
use blockraft_types::{MembershipChange, Position, Turn};
use blockraft_wire::client::{
    Answer, ChangeMembersOutcome, Consistency, Cursor, DeleteOutcome, Found, GiveUpReason, LeaderHint, ListedBlock,
    Operation, Presence, PutOutcome, Refusal, Request, Response, RetryElsewhereReason, RetryLaterReason,
    UnverifiedBlock,
};

use crate::answer_room::Share;
use crate::served::Served;
use crate::status;

/// Does what a request asks.
///
/// The blocks of the answer count against `share` for as long as it is kept.
pub(crate) async fn perform(served: &Served, client: &ClientName, share: &mut Share, request: Request) -> Response {
    let Request { position, operation } = request;
    let done = match operation {
        Operation::Put { blocks } => put(served, None, blocks).await,
        Operation::PutInSession { turn, blocks } => put(served, Some(turn), blocks).await,
        Operation::Get { multihashes, consistency } => get(served, share, multihashes, at(consistency, position)).await,
        Operation::Stat { multihashes, consistency } => stat(served, &multihashes, at(consistency, position)).await,
        Operation::Delete { multihashes } => delete(served, None, multihashes).await,
        Operation::DeleteInSession { turn, multihashes } => delete(served, Some(turn), multihashes).await,
        Operation::OpenSession => open_session(served).await,
        Operation::List { cursor, limit, consistency } => {
            let seen = cursor.map_or(position, |cursor| later(cursor.position, position));
            list(served, cursor.map(|cursor| cursor.after), limit, at(consistency, seen)).await
        }
        Operation::Status => {
            let status = status::of(served);
            let position = served.node.status().last_applied();
            Ok((position, Answer::Status(status)))
        }
        Operation::ChangeMembers(_) if client.as_str() != ADMINISTRATOR => {
            Err(Refusal::GiveUp { reason: GiveUpReason::Forbidden })
        }
        Operation::ChangeMembers(change) => change_members(served, change).await,
    };
    match done {
        Ok((position, answer)) => Response::Answered { position, answer },
        Err(refusal) => Response::Refused(refusal),
    }
}

type Done = Result<(Position, Answer), Refusal>;

async fn put(served: &Served, turn: Option<Turn>, blocks: Vec<UnverifiedBlock>) -> Done {
    check_lengths(served.node.block_limits(), &blocks)?;
    let blocks = verified(blocks).await?;
    let results = match turn {
        Some(turn) => served.node.put_many_in(turn, blocks).await,
        None => served.node.put_many(blocks).await,
    };
    let (position, outcomes) = written(served, results)?;
    let outcomes = outcomes.into_iter().map(|outcome| match outcome {
        Outcome::AlreadyPresent => PutOutcome::AlreadyPresent,
        // The others are no outcomes of puts, unless the client gave this turn to another command as well.
        _ => PutOutcome::Created,
    });
    Ok((position, Answer::Put { outcomes: outcomes.collect() }))
}

async fn change_members(served: &Served, change: MembershipChange) -> Done {
    let outcome = match served.node.change_members(change).await {
        Ok(MembersOutcome::AlreadySo) => ChangeMembersOutcome::AlreadySo,
        Ok(MembersOutcome::Changed) => ChangeMembersOutcome::Changed,
        Err(MembersError::Refused(refusal)) => ChangeMembersOutcome::Refused { refusal },
        Err(MembersError::NotYet { reason: MembersObstacle::Leader(refusal), .. }) => {
            ChangeMembersOutcome::NotYet { refusal: Some(refusal) }
        }
        Err(MembersError::NotYet { reason: MembersObstacle::NoLeader, .. }) => {
            return Err(elsewhere(served, RetryElsewhereReason::NoLeader));
        }
        Err(MembersError::Stopping) => return Err(elsewhere(served, RetryElsewhereReason::Stopping)),
        Err(_) => ChangeMembersOutcome::NotYet { refusal: None },
    };
    Ok((served.node.status().last_applied(), Answer::ChangeMembers { outcome }))
}

async fn delete(served: &Served, turn: Option<Turn>, multihashes: Vec<Multihash>) -> Done {
    let results = match turn {
        Some(turn) => served.node.delete_many_in(turn, multihashes).await,
        None => served.node.delete_many(multihashes).await,
    };
    let (position, outcomes) = written(served, results)?;
    let outcomes = outcomes.into_iter().map(|outcome| match outcome {
        Outcome::Deleted => DeleteOutcome::Deleted,
        Outcome::HeldByPin => DeleteOutcome::HeldByPin,
        // As above.
        _ => DeleteOutcome::Absent,
    });
    Ok((position, Answer::Delete { outcomes: outcomes.collect() }))
}

async fn open_session(served: &Served) -> Done {
    let session = served.node.open_session().await.map_err(|error| unwritten(served, &error))?;
    Ok((served.node.status().last_applied(), Answer::SessionOpened { session }))
}

async fn get(served: &Served, share: &mut Share, multihashes: Vec<Multihash>, consistency: NodeConsistency) -> Done {
    let batch = served.node.batch(multihashes, consistency).await.map_err(|error| unread(served, &error))?;
    let lengths: Vec<_> = batch.lengths().map(|length| length.map_or(0, |length| length as usize)).collect();
    let mut room = fitting_bytes(&lengths);
    let overloaded = Refusal::RetryLater { reason: RetryLaterReason::Overloaded };
    share.take(room).await.map_err(|_| overloaded)?;

    let mut full = false;
    let mut read = Vec::with_capacity(lengths.len());
    // One after the other: blocks that don't fit needn't be read.
    for (place, length) in lengths.into_iter().enumerate() {
        full |= room < length;
        if full {
            read.push(Found::LeftOut);
            continue;
        }
        room -= length;
        read.push(match batch.read(place).await {
            Ok(Some(block)) => Found::Present(block.into_bytes()),
            Ok(None) | Err(ReadError::NoCopy { .. }) => Found::Unreadable,
            Err(error) => return Err(unread(served, &error)),
        });
    }
    let NodeAnswer { value: present, position } = batch.finish().await.map_err(|error| unread(served, &error))?;
    let found = |(found, is_present): (Found, bool)| match found {
        Found::LeftOut => Found::LeftOut,
        _ if !is_present => Found::Absent,
        found => found,
    };
    Ok((position, Answer::Get { blocks: read.into_iter().zip(present).map(found).collect() }))
}

/// The bytes of as many of these blocks, from the first on, as one answer holds: of one at least.
fn fitting_bytes(lengths: &[usize]) -> usize {
    let mut bytes = 0;
    for length in lengths {
        if 0 < bytes && ANSWER_BYTES_MAX < bytes + length {
            break;
        }
        bytes += length;
    }
    bytes
}

async fn stat(served: &Served, multihashes: &[Multihash], consistency: NodeConsistency) -> Done {
    // One block may be answered from here without a read index; many are one moment's answer.
    let rows = match multihashes {
        [multihash] => served
            .node
            .stat(*multihash, consistency)
            .await
            .map(|answer| NodeAnswer { value: vec![answer.value], position: answer.position }),
        multihashes => served.node.stat_many(multihashes, consistency).await,
    };
    let rows = rows.map_err(|error| unread(served, &error))?;
    let presence = |row: Option<blockraft_node::Row>| match row {
        Some(row) => Presence::Present { length: row.length },
        None => Presence::Absent,
    };
    let presences = rows.value.into_iter().map(presence).collect();
    Ok((rows.position, Answer::Stat { presences }))
}

async fn list(served: &Served, after: Option<Multihash>, limit: u32, consistency: NodeConsistency) -> Done {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let page = served.node.list(after, limit, consistency).await.map_err(|error| unread(served, &error))?;
    let position = page.position;
    let listed = |(multihash, row): (Multihash, blockraft_node::Row)| ListedBlock { multihash, length: row.length };
    let mut blocks: Vec<_> = page.value.entries.into_iter().map(listed).collect();
    let fitting = fitting(&blocks);
    let mut next = page.value.next;
    if fitting < blocks.len() {
        blocks.truncate(fitting);
        next = blocks.last().map(|last| last.multihash);
    }
    let next = next.map(|after| Cursor { after, position });
    Ok((position, Answer::List { blocks, next }))
}

/// How many of these, from the first on, the header of an answer holds.
fn fitting(blocks: &[ListedBlock]) -> usize {
    let mut bytes = 0;
    let fits = |block: &&ListedBlock| {
        bytes += block.multihash.as_bytes().len() + LISTED_NUMBERS_BYTES_MAX;
        bytes <= LISTED_BYTES_MAX
    };
    blocks.iter().take_while(fits).count()
}

/// Refuses the request whole, before any of it is done, if one of its blocks never passes.
fn check_lengths(limits: BlockLimits, blocks: &[UnverifiedBlock]) -> Result<(), Refusal> {
    for (number, block) in blocks.iter().enumerate() {
        if let Err(BlockTooLarge { bytes, bytes_max }) = limits.check(block.bytes.len() as u64) {
            let number = u32::try_from(number).unwrap_or(u32::MAX);
            let reason = GiveUpReason::BlockTooLong { number, bytes, bytes_max: bytes_max.into() };
            return Err(Refusal::GiveUp { reason });
        }
    }
    Ok(())
}

/// Hashes what came, apart from the tasks that must stay quick.
async fn verified(blocks: Vec<UnverifiedBlock>) -> Result<Vec<Block>, Refusal> {
    let bytes: usize = blocks.iter().map(|block| block.bytes.len()).sum();
    if bytes < VERIFY_APART_BYTES_MIN {
        return verify(blocks);
    }
    let verifying = tokio::task::spawn_blocking(move || verify(blocks));
    // The runtime is shutting down: nothing was done.
    let stopping = Refusal::RetryElsewhere { reason: RetryElsewhereReason::Stopping, leader: None };
    verifying.await.unwrap_or(Err(stopping))
}

fn verify(blocks: Vec<UnverifiedBlock>) -> Result<Vec<Block>, Refusal> {
    let verify = |(number, block): (usize, UnverifiedBlock)| {
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        block.verify().map_err(|_| Refusal::GiveUp { reason: GiveUpReason::HashMismatch { number } })
    };
    blocks.into_iter().enumerate().map(verify).collect()
}

/// All outcomes, or one refusal for the whole request.
fn written(served: &Served, results: Vec<Result<Written, WriteError>>) -> Result<(Position, Vec<Outcome>), Refusal> {
    let open = |result: &Result<Written, WriteError>| matches!(result, Ok(_) | Err(WriteError::Unknown { .. }));
    let any_open = results.iter().any(open);
    let mut seen = Position::ZERO;
    let mut outcomes = Vec::with_capacity(results.len());
    for result in results {
        match result {
            Ok(written) => {
                seen = later(seen, written.position);
                outcomes.push(written.outcome);
            }
            // "Nothing was done" would not be true of every block.
            Err(_) if any_open => return Err(Refusal::OutcomeUnknown),
            Err(error) => return Err(unwritten(served, &error)),
        }
    }
    Ok((seen, outcomes))
}

fn unwritten(served: &Served, error: &WriteError) -> Refusal {
    match error {
        WriteError::NotProposed { reason, .. } => match reason {
            Obstacle::NoLeader => elsewhere(served, RetryElsewhereReason::NoLeader),
            Obstacle::NoQuorum => Refusal::RetryLater { reason: RetryLaterReason::NotEnoughCopies },
            Obstacle::DiskFull => Refusal::RetryLater { reason: RetryLaterReason::DiskFull },
            Obstacle::LeaderChanging => Refusal::RetryLater { reason: RetryLaterReason::NoLeader },
            Obstacle::StoreFailed => elsewhere(served, RetryElsewhereReason::Stopping),
            _ => Refusal::RetryLater { reason: RetryLaterReason::Overloaded },
        },
        WriteError::Stopping => elsewhere(served, RetryElsewhereReason::Stopping),
        WriteError::SessionExpired => Refusal::GiveUp { reason: GiveUpReason::SessionExpired },
        _ => Refusal::OutcomeUnknown,
    }
}

fn unread(served: &Served, error: &ReadError) -> Refusal {
    let reason = match error {
        ReadError::NotConfirmed { leader: None, .. } => RetryElsewhereReason::NoLeader,
        ReadError::NotConfirmed { .. } => RetryElsewhereReason::NoQuorum,
        ReadError::Stopping => RetryElsewhereReason::Stopping,
        _ => RetryElsewhereReason::Unreadable,
    };
    elsewhere(served, reason)
}

fn elsewhere(served: &Served, reason: RetryElsewhereReason) -> Refusal {
    let leader = served.node.current_leader();
    let leader = leader.map(|node| LeaderHint { node, address: served.address_of(node) });
    Refusal::RetryElsewhere { reason, leader }
}

const fn at(consistency: Consistency, at_least: Position) -> NodeConsistency {
    match consistency {
        Consistency::Local => NodeConsistency::Local,
        Consistency::Confirmed => NodeConsistency::Confirmed { at_least },
        Consistency::Linearizable => NodeConsistency::Linearizable,
    }
}

fn later(one: Position, other: Position) -> Position {
    if one.index < other.index { other } else { one }
}

/// The client that may change the members. `init` makes one of this name.
const ADMINISTRATOR: &str = "admin";

/// Bytes of blocks in one answer at most, unless the first one alone is longer. A client asks again for what is left out.
const ANSWER_BYTES_MAX: usize = 8 << 20;

/// From this many bytes on, hashing is worth a thread of its own: about a millisecond.
const VERIFY_APART_BYTES_MIN: usize = 1 << 20;

/// Bytes of names and numbers in one page of a listing at most: the header of an answer is at most 64 KiB, and what
/// surrounds the page has its share.
const LISTED_BYTES_MAX: usize = 60 << 10;

/// What the length of a name and the length of its block take, at most.
const LISTED_NUMBERS_BYTES_MAX: usize = 6;
