//! The last look: every block that clients ever named, from every node, against what the history says it must be.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use blockraft_client::ClientConfig;
use blockraft_types::NodeId;
use futures::{StreamExt, stream};
use tokio::time::sleep;

use crate::clock::Clock;
use crate::history::{self, Consistency, Continuation, Effect, HistoryWriter, Key, Operation};
use crate::judge::{FinalState, linearizable};
use crate::material;
use crate::report::Event;
use crate::session::{Reach, Session};

/// What to verify against.
#[derive(Clone, Debug)]
pub struct VerifyOptions {
    /// The history; the reads of this look are appended, so that the judges see them too.
    pub history: PathBuf,
    /// The nodes to ask; empty for all.
    pub nodes: Vec<u64>,
}

/// Reads everything from each node, one node after the other, and tells what was found.
///
/// # Errors
/// The history can't be read or written, or a node can't be reached.
pub async fn run(config: ClientConfig, options: VerifyOptions) -> Result<()> {
    let history = history::read(&options.history)?;
    let Continuation { begins_ns, first_client } = Continuation::of(&history);
    let clock = Clock::continued(begins_ns);
    let ends = ends(&history);
    let writer = HistoryWriter::append(&options.history)?;
    let members = config.members.iter().map(|member| member.node).zip(0..);
    for (node, place) in members.filter(|(node, _)| options.nodes.is_empty() || options.nodes.contains(&node.0)) {
        let first_client = first_client + place * SESSIONS;
        let sessions = connect(&config, node, first_client, clock).await?;
        look(node, sessions, &ends, &writer).await?;
    }
    tokio::task::spawn_blocking(move || writer.finish()).await?
}

/// What each block must be at the end. A block that no order explains counts as either: the judges name it.
fn ends(history: &[Operation]) -> BTreeMap<Key, FinalState> {
    let searched = linearizable::search_all(history);
    let named = history.iter().filter_map(|operation| operation.action.key());
    let mut ends: BTreeMap<Key, FinalState> = named.map(|key| (key.clone(), FinalState::Either)).collect();
    ends.extend(searched.ends.into_iter().map(|(key, end)| (key.to_owned(), end)));
    ends
}

async fn connect(config: &ClientConfig, node: NodeId, first_client: u32, clock: Clock) -> Result<Vec<Session>> {
    let mut sessions = Vec::new();
    for number in first_client..first_client + SESSIONS {
        let session = Session::connect(config.clone(), number, Reach::Only(node), clock).await;
        sessions.push(session.with_context(|| format!("node {node} can't be verified"))?);
    }
    Ok(sessions)
}

async fn look(
    node: NodeId,
    sessions: Vec<Session>,
    ends: &BTreeMap<Key, FinalState>,
    writer: &HistoryWriter,
) -> Result<()> {
    let mut found = Found::default();
    // Each session does one thing at a time: it takes every n-th block.
    let shares = sessions.iter().enumerate().map(|(share, session)| {
        let keys = ends.iter().skip(share).step_by(sessions.len());
        stream::iter(keys).then(move |(key, end)| async move { (read(session, key).await, *end) }).boxed_local()
    });
    let mut reads = stream::select_all(shares);
    while let Some((operation, end)) = reads.next().await {
        let Some(operation) = operation else { continue };
        if UNREADABLE_MAX < found.unreadable {
            let seen = found.seen();
            found.unreadable += (ends.len() as u64).saturating_sub(seen);
            break;
        }
        found.count(&operation, end);
        writer.sender().send(operation).await.ok().context("the history can't be written")?;
    }
    drop(reads);
    for session in sessions {
        session.client().close().await;
    }
    found.tell(node);
    Ok(())
}

/// Reads a block until there is an answer, within bounds.
async fn read(session: &Session, key: &Key) -> Option<Operation> {
    let multihash = material::multihash(key)?;
    let mut operation = session.get(multihash, Consistency::Linearizable).await;
    for _ in 1..READS_MAX {
        if operation.done().is_some() {
            break;
        }
        sleep(READ_PAUSE).await;
        operation = session.get(multihash, Consistency::Linearizable).await;
    }
    Some(operation)
}

/// What a node held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Found {
    present: u64,
    absent: u64,
    either: u64,
    lost: u64,
    resurrected: u64,
    wrong: u64,
    unreadable: u64,
}

impl Found {
    fn count(&mut self, operation: &Operation, end: FinalState) {
        let found = operation.done().map(|(_, effect)| effect);
        let cell = match (found, end) {
            (Some(Effect::Present), FinalState::Present) => &mut self.present,
            (Some(Effect::Absent), FinalState::Absent) => &mut self.absent,
            (Some(Effect::Present | Effect::Absent), FinalState::Either) => &mut self.either,
            (Some(Effect::Absent), FinalState::Present) => &mut self.lost,
            (Some(Effect::Present), FinalState::Absent) => &mut self.resurrected,
            (Some(_), _) => &mut self.wrong,
            (None, _) => &mut self.unreadable,
        };
        *cell += 1;
    }

    /// Blocks that were read, or could not be.
    const fn seen(&self) -> u64 {
        let Self { present, absent, either, lost, resurrected, wrong, unreadable } = *self;
        present + absent + either + lost + resurrected + wrong + unreadable
    }

    fn tell(self, node: NodeId) {
        let Self { present, absent, either, lost, resurrected, wrong, unreadable } = self;
        Event::Verified { node: node.0, present, absent, either, lost, resurrected, wrong, unreadable }.tell();
    }
}

/// Clients that read from one node at once.
const SESSIONS: u32 = 8;

/// A node with more unreadable blocks is not asked for the rest: they count as unreadable too.
const UNREADABLE_MAX: u64 = 64;

/// Tries for each block.
const READS_MAX: u32 = 4;

const READ_PAUSE: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use super::{Found, ends};
    use crate::history::story::Story;
    use crate::history::{Consistency, Effect};
    use crate::judge::FinalState;

    #[test]
    fn loss_resurrection_and_wrong_bytes_are_told_apart() {
        let read = |effect| {
            let mut story = Story::default().get("a", Consistency::Linearizable, effect);
            story.operations.remove(0)
        };
        let mut found = Found::default();
        for end in [FinalState::Present, FinalState::Absent, FinalState::Either] {
            for effect in [Effect::Present, Effect::Absent, Effect::Wrong] {
                found.count(&read(effect), end);
            }
        }
        let expected = Found { present: 1, absent: 1, either: 2, lost: 1, resurrected: 1, wrong: 3, unreadable: 0 };
        assert_eq!(found, expected);
    }

    #[test]
    fn a_block_that_no_order_explains_is_read_all_the_same() {
        let story = Story::default().put("a", Effect::Created).put("a", Effect::Created).put("b", Effect::Created);
        let ends: Vec<(String, FinalState)> = ends(&story.operations).into_iter().collect();
        assert_eq!(ends, [("a".to_owned(), FinalState::Either), ("b".to_owned(), FinalState::Present)]);
    }
}
