//! Nodes that follow a script, and die when told. Their tests run on a paused clock (`start_paused`), so that pauses take no
//! time.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use blockraft_blocks::{Block, HashCode};
use blockraft_transport_quic::RequestError;
use blockraft_types::{ClusterId, GroupId, Incarnation, LogIndex, NodeId, Position, Role, SessionId, Term};
use blockraft_wire::client::{
    Answer, Connection, Found, GroupStatus, MemberKind, MemberStatus, NodeStatus, Operation, PutOutcome, Refusal,
    Request, Response,
};
use bytes::Bytes;
use tokio::time::sleep;

use crate::client::Client;
use crate::config::{ClientOptions, Member, Others};
use crate::dial::{Dialer, Link, Pulse};
use crate::unavailable::Trouble;

/// Whether a node lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    Up,
    /// Its process is gone.
    Killed,
    /// Its process stands still, or the network swallows everything.
    Stopped,
}

/// What a node does with a request.
#[derive(Clone, Debug)]
pub(super) enum Reply {
    Answer(Response),
    After(Duration, Response),
    Lost,
    NotSent,
    Busy,
    /// The node dies with the request in its hands.
    Dies(Life),
    Garbage,
}

type Script = Box<dyn FnMut(&Request) -> Reply + Send>;

struct Node {
    life: Life,
    script: Script,
    requests: Vec<Request>,
}

/// A cluster of scripted nodes, from 1 on.
#[derive(Clone)]
pub(super) struct Cluster {
    nodes: Arc<Mutex<BTreeMap<NodeId, Node>>>,
    /// How many were opened. Every node that is up opens them, whatever its script says.
    sessions: Arc<AtomicU64>,
}

impl Cluster {
    /// Nodes that answer as a script says.
    pub(super) fn new<S: FnMut(&Request) -> Reply + Send + 'static>(scripts: impl IntoIterator<Item = S>) -> Self {
        let node = |(index, script): (usize, S)| {
            let script: Script = Box::new(script);
            (NodeId(index as u64 + 1), Node { life: Life::Up, script, requests: Vec::new() })
        };
        let nodes = Arc::new(Mutex::new(scripts.into_iter().enumerate().map(node).collect()));
        Self { nodes, sessions: Arc::default() }
    }

    /// A client that prefers node 1.
    pub(super) fn client(&self) -> Client {
        self.client_with(ClientOptions::default())
    }

    /// It asks nobody in passing, so that the nodes get the requests of their test alone.
    pub(super) fn client_with(&self, options: ClientOptions) -> Client {
        let options = ClientOptions { others: Others::Never, ..options };
        let nodes: Vec<_> = self.nodes.lock().unwrap().keys().map(|node| node.0).collect();
        self.client_of(&nodes, options)
    }

    /// A client whose configuration names these nodes.
    pub(super) fn client_of(&self, nodes: &[u64], options: ClientOptions) -> Client {
        let member = |&node: &u64| Member { node: NodeId(node), address: format!("node-{node}:4001").parse().unwrap() };
        let members = nodes.iter().map(member).collect();
        Client::over(Arc::new(self.clone()), members, Some(NodeId(1)), options).unwrap()
    }

    pub(super) fn becomes(&self, node: u64, life: Life) {
        self.nodes.lock().unwrap().get_mut(&NodeId(node)).unwrap().life = life;
    }

    /// How many sessions were opened.
    pub(super) fn sessions(&self) -> u64 {
        self.sessions.load(Ordering::Relaxed)
    }

    /// The requests that a node got, except for those to open a session.
    pub(super) fn requests(&self, node: u64) -> Vec<Request> {
        self.nodes.lock().unwrap().get(&NodeId(node)).unwrap().requests.clone()
    }

    fn life(&self, node: NodeId) -> Life {
        self.nodes.lock().unwrap().get(&node).unwrap().life
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cluster")
    }
}

#[async_trait]
impl Dialer for Cluster {
    async fn dial(&self, member: &Member) -> Result<Arc<dyn Link>, Trouble> {
        match self.life(member.node) {
            Life::Up => Ok(Arc::new(Scripted { cluster: self.clone(), node: member.node })),
            Life::Killed => Err(Trouble::NobodyListens),
            Life::Stopped => std::future::pending().await,
        }
    }

    async fn knock(&self, member: &Member, patience: Duration) -> Pulse {
        match self.life(member.node) {
            Life::Up => Pulse::Alive,
            Life::Killed => Pulse::Gone,
            Life::Stopped => {
                sleep(patience).await;
                Pulse::Silent
            }
        }
    }
}

#[derive(Debug)]
struct Scripted {
    cluster: Cluster,
    node: NodeId,
}

#[async_trait]
impl Link for Scripted {
    async fn request(&self, header: Bytes, body: Bytes) -> Result<(Bytes, Bytes), RequestError> {
        let request = Request::decode_parts(header, body).unwrap();
        let reply = {
            let mut nodes = self.cluster.nodes.lock().unwrap();
            let node = nodes.get_mut(&self.node).unwrap();
            if node.life == Life::Up && request.operation == Operation::OpenSession {
                let opened = LogIndex(self.cluster.sessions.fetch_add(1, Ordering::Relaxed) + 1);
                Some(answered(1, Answer::SessionOpened { session: SessionId { opened, number: 0 } }))
            } else if node.life == Life::Up {
                node.requests.push(request.clone());
                Some((node.script)(&request))
            } else {
                None
            }
        };
        let encoded = |response: Response| Ok(response.encode().unwrap().into_parts());
        match reply {
            None => std::future::pending().await,
            Some(Reply::Answer(response)) => encoded(response),
            Some(Reply::After(pause, response)) => {
                sleep(pause).await;
                encoded(response)
            }
            Some(Reply::Lost) => Err(RequestError::Unknown),
            Some(Reply::NotSent) => Err(RequestError::NotSent),
            Some(Reply::Busy) => Err(RequestError::Busy),
            Some(Reply::Dies(life)) => {
                self.cluster.becomes(self.node.0, life);
                std::future::pending().await
            }
            Some(Reply::Garbage) => Ok((Bytes::from_static(b"garbage"), Bytes::new())),
        }
    }

    async fn prove(&self) -> Result<(), RequestError> {
        match self.cluster.life(self.node) {
            Life::Up => Ok(()),
            Life::Killed | Life::Stopped => std::future::pending().await,
        }
    }

    fn is_open(&self) -> bool {
        true
    }

    async fn close(&self) {}
}

pub(super) fn block(text: &'static str) -> Block {
    Block::hash(HashCode::Sha2_256, text)
}

pub(super) fn at(index: u64) -> Position {
    Position { term: Term(1), index: LogIndex(index) }
}

pub(super) fn answered(index: u64, answer: Answer) -> Reply {
    Reply::Answer(Response::Answered { position: at(index), answer })
}

pub(super) fn refused(refusal: Refusal) -> Reply {
    Reply::Answer(Response::Refused(refusal))
}

/// Creates every block, deletes every block, finds every block that `blocks` holds.
pub(super) fn honest(index: u64, blocks: &[Block]) -> impl FnMut(&Request) -> Reply + Send + 'static + use<> {
    let blocks: BTreeMap<_, _> = blocks.iter().map(|block| (*block.multihash(), block.bytes().clone())).collect();
    move |request| answered(index, answer(&request.operation, &blocks))
}

fn answer(operation: &Operation, blocks: &BTreeMap<blockraft_blocks::Multihash, Bytes>) -> Answer {
    use blockraft_wire::client::{DeleteOutcome, ListedBlock, Presence};
    let find = |multihash| blocks.get(multihash).cloned();
    match operation {
        Operation::Put { blocks } | Operation::PutInSession { blocks, .. } => {
            Answer::Put { outcomes: vec![PutOutcome::Created; blocks.len()] }
        }
        Operation::Get { multihashes, .. } => Answer::Get {
            blocks: multihashes.iter().map(|name| find(name).map_or(Found::Absent, Found::Present)).collect(),
        },
        Operation::Stat { multihashes, .. } => {
            let presence =
                |name| find(name).map_or(Presence::Absent, |bytes| Presence::Present { length: bytes.len() as u32 });
            Answer::Stat { presences: multihashes.iter().map(presence).collect() }
        }
        Operation::Delete { multihashes } | Operation::DeleteInSession { multihashes, .. } => {
            Answer::Delete { outcomes: vec![DeleteOutcome::Deleted; multihashes.len()] }
        }
        Operation::List { cursor, limit, .. } => {
            let after = cursor.map(|cursor| cursor.after);
            let mut rest = blocks.iter().filter(|(name, _)| after.is_none_or(|after| after < **name)).peekable();
            let listed = |(name, bytes): (&blockraft_blocks::Multihash, &Bytes)| ListedBlock {
                multihash: *name,
                length: bytes.len() as u32,
            };
            let page: Vec<_> = rest.by_ref().take((*limit).min(2) as usize).map(listed).collect();
            let next = rest.peek().and(page.last());
            let next = next.map(|last| blockraft_wire::client::Cursor { after: last.multihash, position: at(1) });
            Answer::List { blocks: page, next }
        }
        Operation::OpenSession => Answer::SessionOpened { session: SessionId { opened: LogIndex(1), number: 0 } },
        Operation::Status => status(1, &[]),
        Operation::ChangeMembers(_) => panic!("no script of these tests is asked for this"),
    }
}

/// What a node says that knows entry `commit` to be committed, and these members.
pub(super) fn status(commit: u64, members: &[u64]) -> Answer {
    let member = |&node: &u64| MemberStatus {
        node: NodeId(node),
        kind: MemberKind::Voter,
        connection: Connection::Up,
        address: Some(([127, 0, 0, 1], 4_000 + node as u16).into()),
        match_index: None,
        payload_lag_bytes: None,
    };
    let group = GroupStatus {
        group: GroupId(0),
        role: Role::Follower,
        term: Term(1),
        leader: Some(NodeId(1)),
        log_first: LogIndex(1),
        log_last: at(commit),
        lost_tail: None,
        reserve: None,
        commit_index: LogIndex(commit),
        last_applied: at(commit),
        blocks: 0,
        block_bytes: 0,
        members: members.iter().map(member).collect(),
    };
    Answer::Status(NodeStatus {
        cluster: ClusterId::from_bytes([7; 16]),
        node: NodeId(1),
        incarnation: Incarnation::from_bytes([1; 16]),
        release: "0.1.0".to_owned(),
        uptime_ms: 1,
        groups: if members.is_empty() { Vec::new() } else { vec![group] },
    })
}

/// Boxes scripts of different types.
pub(super) fn scripts<const N: usize>(scripts: [Script; N]) -> [Script; N] {
    scripts
}
