//! Waiting until a cluster is ready for work.

use std::time::{Duration, Instant};

use blockraft_types::{NodeId, Term};

use crate::commands::status::asked::{Asked, ask, group};
use crate::connection::ConnectionArguments;
use crate::exit::Failure;

/// Asks until every node answers and all name one of them as leader, or the time is over. The last answers are given, and
/// what they lack.
pub(crate) async fn until_ready(
    connection: &ConnectionArguments,
    time_max: Duration,
) -> Result<(Vec<Asked>, Option<String>), Failure> {
    let begun = Instant::now();
    loop {
        let asked = ask(connection).await;
        let is_late = time_max <= begun.elapsed();
        match asked.map(|nodes| (lack(nodes.iter().map(known)), nodes)) {
            Ok((None, nodes)) => return Ok((nodes, None)),
            Ok((lack, nodes)) if is_late => return Ok((nodes, lack)),
            Err(failure) if is_late => return Err(failure),
            Ok(_) | Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// What a node says of its leader: who it is, if it knows, and in which term.
type Known = (Option<NodeId>, Term);

fn known((member, status): &Asked) -> (NodeId, Option<Known>) {
    let group = status.as_ref().ok().and_then(group);
    (member.node, group.map(|group| (group.leader, group.term)))
}

/// Why the cluster isn't ready, if it isn't.
fn lack(answers: impl IntoIterator<Item = (NodeId, Option<Known>)>) -> Option<String> {
    let mut agreed = None;
    for (node, known) in answers {
        let Some((leader, term)) = known else {
            return Some(format!("node {node} doesn't answer"));
        };
        let Some(leader) = leader else {
            return Some(format!("node {node} knows no leader"));
        };
        if *agreed.get_or_insert((leader, term)) != (leader, term) {
            return Some("the nodes don't agree on a leader".to_owned());
        }
    }
    None
}

const PAUSE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests;
