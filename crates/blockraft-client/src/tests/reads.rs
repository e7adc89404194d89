use blockraft_blocks::{Block, Cid, HashCode, Multihash};
use blockraft_wire::client::{Answer, Consistency, Cursor, Found, ListedBlock, Operation, Request};
use bytes::Bytes;
use futures::TryStreamExt;

use crate::config::ClientOptions;
use crate::get::GetError;
use crate::list::ListError;
use crate::tests::scripted::{Cluster, Reply, answered, at, block, honest, scripts};
use crate::unavailable::Trouble;

fn lying(request: &Request) -> Reply {
    let Operation::Get { multihashes, .. } = &request.operation else { panic!("only gets are expected") };
    answered(1, Answer::Get { blocks: vec![Found::Present(Bytes::from_static(b"wrong")); multihashes.len()] })
}

#[tokio::test(start_paused = true)]
async fn wrong_bytes_are_never_handed_out() {
    let wanted = block("hello");
    let nodes = Cluster::new(scripts([Box::new(lying), Box::new(honest(1, std::slice::from_ref(&wanted)))]));
    let got = nodes.client().get(wanted.multihash(), Consistency::Local).await.unwrap();
    assert_eq!(got, Some(wanted));
    assert_eq!(nodes.requests(1).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn when_every_node_lies_there_is_an_error_and_no_bytes() {
    let nodes = Cluster::new([lying, lying]);
    let got = nodes.client().get(block("hello").multihash(), Consistency::Local).await;
    let Err(GetError::Unavailable(unavailable)) = got else { panic!("{got:?}") };
    assert!(!unavailable.is_unreachable());
    assert!(unavailable.members.iter().all(|member| matches!(member.trouble, Trouble::WrongBytes)));
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_copy_is_asked_for_elsewhere_and_the_others_are_kept() {
    let blocks = ["a", "b", "c"].map(block);
    let names = blocks.each_ref().map(|block| *block.multihash());
    let rotten = blocks[1].clone();
    let mut all = honest(1, &blocks);
    let partly = move |request: &Request| {
        let reply = all(request);
        let Reply::Answer(blockraft_wire::client::Response::Answered { answer: Answer::Get { mut blocks }, .. }) =
            reply
        else {
            panic!("only gets are expected")
        };
        for found in &mut blocks {
            if *found == Found::Present(rotten.bytes().clone()) {
                *found = Found::Unreadable;
            }
        }
        answered(1, Answer::Get { blocks })
    };
    let nodes = Cluster::new(scripts([Box::new(partly), Box::new(honest(1, &blocks))]));
    let got = nodes.client().get_many(&names, Consistency::Confirmed).await;
    assert_eq!(got.into_iter().map(|got| got.unwrap().unwrap()).collect::<Vec<_>>(), blocks);
    let Operation::Get { multihashes, .. } = &nodes.requests(2)[0].operation else { panic!("a get") };
    assert_eq!(multihashes, &[names[1]]);
}

/// Sends one block at a time.
fn terse(blocks: &[Block]) -> impl FnMut(&Request) -> Reply + Send + 'static + use<> {
    let mut all = honest(1, blocks);
    move |request| {
        let Reply::Answer(blockraft_wire::client::Response::Answered { answer: Answer::Get { mut blocks }, .. }) =
            all(request)
        else {
            panic!("only gets are expected")
        };
        blocks.iter_mut().skip(1).for_each(|found| *found = Found::LeftOut);
        answered(1, Answer::Get { blocks })
    }
}

#[tokio::test(start_paused = true)]
async fn what_an_answer_left_out_is_asked_for_again() {
    let blocks = ["a", "b", "c", "d"].map(block);
    let names = blocks.each_ref().map(|block| *block.multihash());
    let nodes = Cluster::new([terse(&blocks)]);
    let begun = tokio::time::Instant::now();
    let got = nodes.client().get_many(&names, Consistency::Confirmed).await;
    assert_eq!(got.into_iter().map(|got| got.unwrap().unwrap()).collect::<Vec<_>>(), blocks);
    assert_eq!(nodes.requests(1).len(), 4);
    assert_eq!(begun.elapsed(), std::time::Duration::ZERO, "progress needs no pause");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_leaves_out_everything_ends_in_time() {
    let empty = |request: &Request| {
        let Operation::Get { multihashes, .. } = &request.operation else { panic!("only gets are expected") };
        answered(1, Answer::Get { blocks: vec![Found::LeftOut; multihashes.len()] })
    };
    let nodes = Cluster::new([empty]);
    let got = nodes.client().get(block("hello").multihash(), Consistency::Local).await;
    assert!(matches!(got, Err(GetError::Unavailable(_))), "{got:?}");
    assert!(nodes.requests(1).len() < 200, "a node that gives nothing is not asked in a loop");
}

#[tokio::test(start_paused = true)]
async fn identity_cids_are_answered_here() {
    let nodes = Cluster::new([honest(1, &[])]);
    let client = nodes.client();
    let inline = Cid::from_bytes(&[0x01, 0x55, 0x00, 0x02, b'h', b'i']).unwrap();
    let got = client.get(&inline, Consistency::Linearizable).await.unwrap().unwrap();
    assert_eq!(got.bytes().as_ref(), b"hi");
    assert_eq!(client.stat(&inline, Consistency::Linearizable).await.unwrap(), Some(2));
    assert!(nodes.requests(1).is_empty());
}

#[tokio::test(start_paused = true)]
async fn many_stats_are_cut_into_requests_and_come_back_in_order() {
    let blocks: Vec<_> = (0..3_000usize).map(|n| Block::hash(HashCode::Sha2_512, vec![0; n])).collect();
    let names: Vec<Multihash> = blocks.iter().map(|block| *block.multihash()).collect();
    let nodes = Cluster::new([honest(1, &blocks)]);
    let options = ClientOptions { requests_max: 2, ..ClientOptions::default() };
    let lengths = nodes.client_with(options).stat_many(&names, Consistency::Local).await;
    let lengths: Vec<_> = lengths.into_iter().map(|length| length.unwrap().unwrap()).collect();
    assert_eq!(lengths, (0..3_000).collect::<Vec<u32>>());
    assert!(3 < nodes.requests(1).len(), "names of 66 bytes don't go a thousand to a request");
}

#[tokio::test(start_paused = true)]
async fn a_listing_goes_through_all_pages() {
    let blocks = ["a", "b", "c", "d", "e"].map(block);
    let nodes = Cluster::new([honest(1, &blocks)]);
    let client = nodes.client();
    let listed: Vec<ListedBlock> = client.list_all(Consistency::Confirmed).try_collect().await.unwrap();
    let mut expected = blocks.map(|block| *block.multihash());
    expected.sort_unstable();
    assert_eq!(listed.into_iter().map(|listed| listed.multihash).collect::<Vec<_>>(), expected);
    assert_eq!(nodes.requests(1).len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_listing_that_stands_still_is_no_endless_one() {
    let name = *block("hello").multihash();
    let next = Some(Cursor { after: name, position: at(1) });
    let nodes = Cluster::new([move |_: &_| answered(1, Answer::List { blocks: vec![], next })]);
    let client = nodes.client();
    let listed: Result<Vec<_>, _> = client.list_all(Consistency::Confirmed).try_collect().await;
    assert!(matches!(listed, Err(ListError::Unavailable(_))), "{listed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_can_not_be_read_is_told_although_silence_came_later() {
    let mut asked = 0;
    let damaged = move |_: &Request| {
        asked += 1;
        match asked {
            1 => answered(1, Answer::Get { blocks: vec![Found::Unreadable] }),
            _ => Reply::Lost,
        }
    };
    let name = *block("hello").multihash();
    let got = Cluster::new([damaged]).client().get(name, Consistency::Confirmed).await;
    let Err(GetError::Unavailable(unavailable)) = got else { panic!("{got:?}") };
    assert!(matches!(unavailable.members[0].trouble, Trouble::Unreadable), "{unavailable}");
}
