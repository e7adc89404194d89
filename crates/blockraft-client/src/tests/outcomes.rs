use std::time::Duration;

use blockraft_blocks::limits::BLOCK_BYTES_MAX;
use blockraft_blocks::{Block, Cid, HashCode};
use blockraft_types::session::UNANSWERED_MAX;
use blockraft_types::{NodeId, Turn};
use blockraft_wire::client::{Answer, GiveUpReason, Operation, PutOutcome, Refusal, Request, RetryLaterReason};
use tokio::time::{Instant, timeout};

use crate::config::ClientOptions;
use crate::delete::{DeleteError, DeleteOutcome};
use crate::put::{OnUnknown, PutError};
use crate::tests::scripted::{Cluster, Reply, answered, block, honest, refused, scripts};

#[tokio::test(start_paused = true)]
async fn a_lost_or_unknown_or_senseless_answer_to_a_put_outside_of_the_session_is_unknown() {
    let doubtful: [fn() -> Reply; 4] = [
        || Reply::Lost,
        || refused(Refusal::OutcomeUnknown),
        || Reply::Garbage,
        || answered(1, Answer::Put { outcomes: vec![PutOutcome::Created; 7] }),
    ];
    for reply in doubtful {
        let nodes = Cluster::new(scripts([Box::new(move |_| reply()), Box::new(honest(1, &[]))]));
        let client = nodes.client();
        let put = client.put_with(block("hello"), OnUnknown::Surface).await;
        assert!(matches!(put, Err(PutError::Unknown { node: NodeId(1) })), "{:?}: {put:?}", reply());
        assert!(nodes.requests(2).is_empty(), "{:?} was tried again", reply());
    }
}

#[tokio::test(start_paused = true)]
async fn a_put_that_is_tried_again_stays_unknown_unless_a_later_attempt_is_answered() {
    let mut taken = 0;
    let once_lost = move |_: &Request| {
        taken += 1;
        match taken {
            1 => Reply::Lost,
            _ => refused(Refusal::RetryLater { reason: RetryLaterReason::NoLeader }),
        }
    };
    let leaderless = |_: &Request| refused(Refusal::RetryLater { reason: RetryLaterReason::NoLeader });
    let nodes = Cluster::new(scripts([Box::new(once_lost), Box::new(leaderless)]));
    let put = nodes.client().put_with(block("hello"), OnUnknown::Resolve).await;
    assert!(matches!(put, Err(PutError::Unknown { node: NodeId(1) })), "{put:?}");

    let nodes = Cluster::new(scripts([Box::new(|_| Reply::Lost), Box::new(honest(1, &[]))]));
    let put = nodes.client().put_with(block("hello"), OnUnknown::Resolve).await;
    assert_eq!(put.unwrap(), PutOutcome::Created);
    let never = Cluster::new([leaderless]).client().put_with(block("hello"), OnUnknown::Resolve).await;
    assert!(matches!(never, Err(PutError::Unavailable(_))), "{never:?}");
}

/// The turn of the first block of each write that a node was asked for.
fn turns(nodes: &Cluster, node: u64) -> Vec<Turn> {
    let turn = |request: &Request| match request.operation {
        Operation::PutInSession { turn, .. } | Operation::DeleteInSession { turn, .. } => turn,
        _ => panic!("only writes of the session are expected"),
    };
    nodes.requests(node).iter().map(turn).collect()
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_answer_is_lost_or_unknown_or_senseless_is_asked_for_elsewhere_in_its_turn() {
    let doubtful: [fn() -> Reply; 3] = [|| Reply::Lost, || refused(Refusal::OutcomeUnknown), || Reply::Garbage];
    for reply in doubtful {
        let nodes = Cluster::new(scripts([Box::new(move |_| reply()), Box::new(honest(1, &[]))]));
        let client = nodes.client();
        assert_eq!(client.put(block("hello")).await.unwrap(), PutOutcome::Created, "{:?}", reply());
        let deleted = client.delete(block("hello").multihash()).await.unwrap();
        assert_eq!(deleted, DeleteOutcome::Deleted, "{:?}", reply());
        let [first, second] = [1, 2].map(|node| turns(&nodes, node));
        assert_eq!(first.first(), second.first(), "{:?}: it is the same command", reply());
        let numbers: Vec<_> = second.iter().map(|turn| (turn.sequence.0, turn.first_unanswered.0)).collect();
        assert_eq!(numbers, [(1, 1), (2, 2)], "{:?}", reply());
        assert_eq!(nodes.sessions(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_nobody_answers_stays_unknown() {
    let lost = |_: &Request| Reply::Lost;
    let nodes = Cluster::new([lost, lost]);
    let client = nodes.client();
    let deleted = client.delete(block("hello").multihash()).await;
    assert!(matches!(deleted, Err(DeleteError::Unknown { .. })), "{deleted:?}");
    let sent = turns(&nodes, 1);
    assert!(1 < sent.len() && sent.iter().all(|turn| turn == &sent[0]), "{sent:?}");
    let put = client.put(block("hello")).await;
    assert!(matches!(put, Err(PutError::Unknown { .. })), "{put:?}");
    let given_up = turns(&nodes, 1).last().copied().unwrap();
    assert_eq!((given_up.sequence.0, given_up.first_unanswered.0), (2, 2), "nobody asks for the delete any more");
}

fn expired() -> Reply {
    refused(Refusal::GiveUp { reason: GiveUpReason::SessionExpired })
}

/// A node at which the first session has expired.
fn forgetful(request: &Request) -> Reply {
    match &request.operation {
        Operation::PutInSession { turn, .. } if turn.session.opened.0 == 1 => expired(),
        _ => honest(1, &[])(request),
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_finds_its_session_expired_is_done_in_a_new_one() {
    let nodes = Cluster::new([forgetful]);
    let client = nodes.client();
    assert_eq!(client.put(block("hello")).await.unwrap(), PutOutcome::Created);
    assert_eq!(client.put(block("world")).await.unwrap(), PutOutcome::Created);
    let sent: Vec<_> = turns(&nodes, 1).iter().map(|turn| (turn.session.opened.0, turn.sequence.0)).collect();
    assert_eq!((sent, nodes.sessions()), (vec![(1, 1), (2, 1), (2, 2)], 2));
}

#[tokio::test(start_paused = true)]
async fn a_write_that_may_have_been_done_before_its_session_expired_is_unknown() {
    let nodes = Cluster::new(scripts([Box::new(|_| Reply::Lost), Box::new(forgetful)]));
    let put = nodes.client().put(block("hello")).await;
    assert!(matches!(put, Err(PutError::Unknown { node: NodeId(1) })), "{put:?}");
    assert_eq!(nodes.sessions(), 1, "it isn't done anew");
}

#[tokio::test(start_paused = true)]
async fn a_write_that_is_dropped_is_given_up() {
    let mut taken = 0;
    let first_hangs = move |request: &Request| {
        taken += 1;
        let Reply::Answer(response) = honest(1, &[])(request) else { unreachable!("it answers") };
        if taken == 1 { Reply::After(Duration::from_secs(20), response) } else { Reply::Answer(response) }
    };
    let nodes = Cluster::new([first_hangs]);
    let client = nodes.client();
    let dropped = timeout(Duration::from_secs(1), client.put(block("hello"))).await;
    assert!(dropped.is_err());
    client.put(block("world")).await.unwrap();
    assert_eq!(turns(&nodes, 1)[1].first_unanswered.0, 2);
}

#[tokio::test(start_paused = true)]
async fn writes_beyond_the_bound_of_a_session_wait_for_the_oldest_one() {
    let mut taken = 0;
    let first_is_slow = move |request: &Request| {
        taken += 1;
        let Reply::Answer(response) = honest(1, &[])(request) else { unreachable!("it answers") };
        if taken == 1 { Reply::After(Duration::from_secs(20), response) } else { Reply::Answer(response) }
    };
    let nodes = Cluster::new([first_is_slow]);
    let options = ClientOptions { batches_max: 16, ..ClientOptions::default() };
    let client = nodes.client_with(options);
    let names: Vec<_> =
        (0..6_000u32).map(|n| *Block::hash(HashCode::Blake3, n.to_be_bytes().to_vec()).multihash()).collect();
    let begun = Instant::now();
    let outcomes = client.delete_many(&names).await;
    assert!(outcomes.into_iter().all(|outcome| outcome.is_ok()));
    assert!(Duration::from_secs(20) <= begun.elapsed());
    for turn in turns(&nodes, 1) {
        assert!(turn.sequence.since(turn.first_unanswered) < UNANSWERED_MAX, "{turn:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_identity_cid_can_not_be_deleted() {
    let nodes = Cluster::new([honest(1, &[])]);
    let inline = Cid::from_bytes(&[0x01, 0x55, 0x00, 0x02, b'h', b'i']).unwrap();
    assert!(matches!(nodes.client().delete(inline).await, Err(DeleteError::Inline)));
    assert!(nodes.requests(1).is_empty());
}

#[tokio::test(start_paused = true)]
async fn many_deletes_have_an_outcome_each() {
    let nodes = Cluster::new([honest(1, &[])]);
    let names: Vec<_> =
        (0..2_000u32).map(|n| *Block::hash(HashCode::Blake3, n.to_be_bytes().to_vec()).multihash()).collect();
    let outcomes = nodes.client().delete_many(&names).await;
    assert_eq!(outcomes.len(), 2_000);
    assert!(outcomes.into_iter().all(|outcome| outcome.unwrap() == DeleteOutcome::Deleted));
    assert_eq!(nodes.requests(1).len(), 2);
}

/// Refuses requests that hold a block of more than 3 bytes.
fn strict(request: &Request) -> Reply {
    let Operation::Put { blocks } = &request.operation else { panic!("only puts are expected") };
    match blocks.iter().position(|block| 3 < block.bytes.len()) {
        Some(number) => {
            let (number, bytes) = (number as u32, 4);
            refused(Refusal::GiveUp { reason: GiveUpReason::BlockTooLong { number, bytes, bytes_max: 3 } })
        }
        None => honest(1, &[])(request),
    }
}

#[tokio::test(start_paused = true)]
async fn a_block_over_the_limit_leaves_its_neighbours_alone() {
    let nodes = Cluster::new([strict]);
    let blocks = ["a", "long", "", "c", "lang"].map(block).to_vec();
    let outcomes = nodes.client().put_many(blocks.clone(), OnUnknown::Surface).await;
    assert_eq!(outcomes.len(), blocks.len());
    for (block, outcome) in blocks.iter().zip(outcomes) {
        match outcome {
            Ok(outcome) => assert_eq!((outcome, block.bytes().len() < 4), (PutOutcome::Created, true)),
            Err(PutError::BlockTooLong { multihash, bytes: 4, bytes_max: 3 }) => {
                assert_eq!((&multihash, block.bytes().len()), (block.multihash(), 4));
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_block_longer_than_any_format_is_refused_here() {
    let nodes = Cluster::new([honest(1, &[])]);
    let long = Block::hash(HashCode::Blake3, vec![0; BLOCK_BYTES_MAX as usize + 1]);
    let put = nodes.client().put(long).await;
    assert!(matches!(put, Err(PutError::BlockTooLong { bytes_max, .. }) if bytes_max == u64::from(BLOCK_BYTES_MAX)));
    assert!(nodes.requests(1).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_delete_of_what_a_pin_holds_is_an_error_by_that_name() {
    let held = || answered(1, Answer::Delete { outcomes: vec![blockraft_wire::client::DeleteOutcome::HeldByPin] });
    let nodes = Cluster::new(scripts([Box::new(move |request| match &request.operation {
        Operation::DeleteInSession { .. } => held(),
        _ => honest(1, &[])(request),
    })]));
    let deleted = nodes.client().delete(block("hello").multihash()).await;
    assert!(matches!(deleted, Err(DeleteError::HeldByPin)), "{deleted:?}");
}
