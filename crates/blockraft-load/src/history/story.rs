//! Short histories for tests, told one operation after the other.

use blockraft_types::{LogIndex, Position, Term};

use crate::history::operation::{Action, Consistency, Effect, Operation, Outcome};

/// A history in which everything takes ten nanoseconds and nothing overlaps, until a test says otherwise.
#[derive(Debug, Default)]
pub(crate) struct Story {
    pub(crate) operations: Vec<Operation>,
    index: u64,
}

impl Story {
    pub(crate) fn put(self, key: &str, effect: Effect) -> Self {
        self.write(Action::Put { key: key.into(), bytes: 5 }, effect)
    }

    pub(crate) fn delete(self, key: &str, effect: Effect) -> Self {
        self.write(Action::Delete { key: key.into() }, effect)
    }

    pub(crate) fn get(self, key: &str, consistency: Consistency, effect: Effect) -> Self {
        self.tell(Action::Get { key: key.into(), consistency }, effect)
    }

    pub(crate) fn list(self, keys: &[&str]) -> Self {
        let keys = keys.iter().map(|&key| key.into()).collect();
        let action = Action::List { after: None, consistency: Consistency::Confirmed };
        self.tell(action, Effect::Listed { keys, last: true })
    }

    /// The operation told last stays without an answer.
    pub(crate) fn unknown(mut self) -> Self {
        self.last().outcome = Outcome::Unknown { why: "timed out".into() };
        self
    }

    /// The operation told last was refused.
    pub(crate) fn refused(mut self) -> Self {
        self.last().outcome = Outcome::Refused { why: "no leader".into() };
        self
    }

    /// The operation told last took this long.
    pub(crate) fn during(mut self, invoked: u64, returned: u64) -> Self {
        let last = self.last();
        (last.invoked, last.returned) = (invoked, returned);
        self
    }

    /// The operation told last was another client's.
    pub(crate) fn by(mut self, client: u32) -> Self {
        self.last().client = client;
        self
    }

    /// The operation told last was answered by this node.
    pub(crate) fn from(mut self, node: u64) -> Self {
        self.last().node = Some(node);
        self
    }

    /// The operation told last was answered as of another position.
    pub(crate) fn at(mut self, index: u64) -> Self {
        if let Outcome::Done { position, .. } = &mut self.last().outcome {
            *position = position_of(index);
        }
        self
    }

    fn last(&mut self) -> &mut Operation {
        self.operations.last_mut().expect("a story begins with an operation")
    }

    fn write(mut self, action: Action, effect: Effect) -> Self {
        self.index += 1;
        self.tell(action, effect)
    }

    fn tell(mut self, action: Action, effect: Effect) -> Self {
        let invoked = self.operations.len() as u64 * 100;
        let outcome = Outcome::Done { position: position_of(self.index), effect };
        self.operations.push(Operation { client: 1, node: None, action, invoked, returned: invoked + 10, outcome });
        self
    }
}

pub(crate) fn position_of(index: u64) -> Position {
    Position { term: Term(1), index: LogIndex(index) }
}
