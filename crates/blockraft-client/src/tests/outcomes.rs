use blockraft_blocks::limits::BLOCK_BYTES_MAX;
use blockraft_blocks::{Block, Cid, HashCode};
use blockraft_types::NodeId;
use blockraft_wire::client::{
    Answer, DeleteOutcome, GiveUpReason, Operation, PutOutcome, Refusal, Request, RetryLaterReason,
};

use crate::delete::DeleteError;
use crate::put::{OnUnknown, PutError};
use crate::tests::scripted::{Cluster, Reply, answered, block, honest, refused, scripts};

#[tokio::test(start_paused = true)]
async fn a_lost_or_unknown_or_senseless_answer_to_a_write_is_unknown() {
    let doubtful: [fn() -> Reply; 4] = [
        || Reply::Lost,
        || refused(Refusal::OutcomeUnknown),
        || Reply::Garbage,
        || answered(1, Answer::Put { outcomes: vec![PutOutcome::Created; 7] }),
    ];
    for reply in doubtful {
        let nodes = Cluster::new(scripts([Box::new(move |_| reply()), Box::new(honest(1, &[]))]));
        let client = nodes.client();
        let put = client.put(block("hello")).await;
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
    let put = nodes.client().put_with(block("hello"), OnUnknown::Retry).await;
    assert!(matches!(put, Err(PutError::Unknown { node: NodeId(1) })), "{put:?}");

    let nodes = Cluster::new(scripts([Box::new(|_| Reply::Lost), Box::new(honest(1, &[]))]));
    let put = nodes.client().put_with(block("hello"), OnUnknown::Retry).await;
    assert_eq!(put.unwrap(), PutOutcome::Created);
    let never = Cluster::new([leaderless]).client().put_with(block("hello"), OnUnknown::Retry).await;
    assert!(matches!(never, Err(PutError::Unavailable(_))), "{never:?}");
}

#[tokio::test(start_paused = true)]
async fn a_delete_is_never_tried_again_after_unknown() {
    let nodes = Cluster::new(scripts([Box::new(|_| Reply::Lost), Box::new(honest(1, &[]))]));
    let deleted = nodes.client().delete(block("hello").multihash()).await;
    assert!(matches!(deleted, Err(DeleteError::Unknown { node: NodeId(1) })), "{deleted:?}");
    assert_eq!((nodes.requests(1).len(), nodes.requests(2).len()), (1, 0));
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
