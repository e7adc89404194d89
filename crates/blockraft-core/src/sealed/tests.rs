use blockraft_types::message::TimeoutNow;
use blockraft_types::{GroupId, Message, NodeId, PersistNumber, PersistTicket, Position, Term};

use super::Sealed;

#[test]
fn a_seal_opens_with_the_receipt_of_its_batch_or_a_later_one_of_its_group() {
    let message = Message::TimeoutNow(TimeoutNow { term: Term(1), last: Position::ZERO });
    let sealed = Sealed::new(GroupId(1), PersistNumber(5), NodeId(2), message.clone());
    let receipt = |group, number| PersistTicket::new(GroupId(group), PersistNumber(number)).redeem();
    assert_eq!(sealed.clone().open(&receipt(1, 4)), Err(sealed.clone()));
    assert_eq!(sealed.clone().open(&receipt(2, 9)), Err(sealed.clone()));
    assert_eq!(sealed.clone().open(&receipt(1, 5)), Ok((NodeId(2), message.clone())));
    assert_eq!(sealed.open(&receipt(1, 6)), Ok((NodeId(2), message)));
}
