//! Many blocks in one answer: all of it is of one moment.

use blockraft_blocks::{Block, HashCode};
use blockraft_wire::client::{Answer, Consistency, Found, Operation, Response};
use tokio::join;

use super::{answer, ask, put, service};

/// A block comes while a batch is read that asks for it first: it may be in the answer or not, but an answer that lacks it
/// is none of a moment at which it was there.
#[tokio::test]
async fn what_a_batch_calls_absent_is_absent_at_the_position_of_its_answer() {
    let service = service(1 << 20).await;
    let known = Block::hash(HashCode::Blake3, vec![1; 300]);
    answer(put(&service, std::slice::from_ref(&known)).await);
    for consistency in [Consistency::Linearizable, Consistency::Confirmed, Consistency::Local] {
        for seed in 0..20_u8 {
            let new = Block::hash(HashCode::Blake3, vec![seed, consistency as u8, 3, 4]);
            let mut multihashes = vec![*new.multihash()];
            multihashes.extend([*known.multihash(); 30]);
            let get = ask(&service, Operation::Get { multihashes, consistency });
            let (got, written) = join!(get, put(&service, std::slice::from_ref(&new)));
            let Response::Answered { position: written, .. } = written else { panic!("{written:?}") };
            let Response::Answered { position, answer: Answer::Get { blocks } } = got else { panic!("{got:?}") };
            match &blocks[0] {
                Found::Absent => {
                    assert!(position < written, "{consistency:?}: absent as of {position}, put at {written}");
                }
                found => assert_eq!(*found, Found::Present(new.into_bytes())),
            }
            assert!(blocks[1..].iter().all(|found| *found == Found::Present(known.bytes().clone())), "{blocks:?}");
        }
    }
}
