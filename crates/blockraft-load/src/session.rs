//! One recorded client: it does one thing at a time, and what it was told goes into a history.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use blockraft_blocks::{Block, Multihash};
use blockraft_client::unavailable::Trouble;
use blockraft_client::{
    Client, ClientConfig, Cursor, DeleteError, DeleteOutcome, GetError, ListError, OnUnknown, Others, PutError,
    PutOutcome, StatError, Unavailable,
};
use blockraft_types::{NodeId, Position};

use crate::clock::Clock;
use crate::history::{Action, Consistency, Effect, Operation, Outcome};
use crate::material::key;

/// How a client is bound to nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// It begins at this node and goes on to others when it must.
    Any {
        /// Where it begins, counted from 0 around the members.
        first: usize,
    },
    /// It asks this node and no other.
    Only(NodeId),
}

/// A client whose operations are recorded.
#[derive(Debug)]
pub struct Session {
    number: u32,
    node: Option<u64>,
    client: Client,
    clock: Clock,
}

/// The client folder of a cluster's folder, loaded.
///
/// # Errors
/// It can't be read.
pub fn load(cluster: &Path) -> Result<ClientConfig> {
    let folder = cluster.join("client");
    ClientConfig::load(&folder).with_context(|| format!("can't use the client folder {}", folder.display()))
}

/// The same configuration with the members that the cluster has now.
///
/// # Errors
/// Nobody tells who they are.
pub async fn with_present_members(mut config: ClientConfig) -> Result<ClientConfig> {
    let client = Client::connect(config.clone()).await.context("nobody tells who the members are")?;
    let members = client.status_all().await.into_iter().map(|(member, _)| member).collect();
    client.close().await;
    config.members = members;
    Ok(config)
}

impl Session {
    /// Connects client number `number`.
    ///
    /// # Errors
    /// No member can be reached, or the one wanted is none.
    pub async fn connect(mut config: ClientConfig, number: u32, reach: Reach, clock: Clock) -> Result<Self> {
        config.options.request_time_max = REQUEST_TIME_MAX;
        let node = match reach {
            Reach::Any { first } => {
                let place = first % config.members.len().max(1);
                config.prefer = config.members.get(place).map(|member| member.node);
                None
            }
            Reach::Only(node) => {
                config.members.retain(|member| member.node == node);
                config.options.others = Others::Never;
                if config.members.is_empty() {
                    bail!("node {node} is no member of the cluster");
                }
                Some(node.0)
            }
        };
        let client = Client::connect(config).await.with_context(|| format!("client {number} can't connect"))?;
        Ok(Self { number, node, client, clock })
    }

    /// The client itself, for what is not recorded.
    #[must_use]
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// Puts a block.
    pub async fn put(&self, block: &Block) -> Operation {
        let invoked = self.clock.now_ns();
        let outcome = self.put_outcome(self.client.put(block.clone()).await);
        self.operation(put_of(block), invoked, outcome)
    }

    /// Puts blocks, many in each request: one thing, of which each block is recorded.
    pub async fn put_many(&self, blocks: &[Block]) -> Vec<Operation> {
        let invoked = self.clock.now_ns();
        let outcomes = self.client.put_many(blocks.to_vec(), OnUnknown::Resolve).await;
        // Many requests were under way, perhaps to several nodes: each block is acknowledged as of the highest position
        // of them all, which is right for every judge, and by a node that the client doesn't tell.
        let position = self.client.position();
        let operation = |(block, outcome)| {
            let mut operation = self.operation(put_of(block), invoked, self.put_outcome(outcome));
            if let Outcome::Done { position: of, .. } = &mut operation.outcome {
                *of = position;
                operation.node = None;
            }
            operation
        };
        blocks.iter().zip(outcomes).map(operation).collect()
    }

    /// Deletes a block.
    pub async fn delete(&self, multihash: Multihash) -> Operation {
        let invoked = self.clock.now_ns();
        let outcome = match self.client.delete(multihash).await {
            Ok(DeleteOutcome::Deleted) => self.done(Effect::Deleted),
            Ok(DeleteOutcome::Absent) => self.done(Effect::Absent),
            Err(error @ DeleteError::Unknown { .. }) => unknown(&error),
            Err(DeleteError::Unavailable(unavailable)) => refused(&unavailable),
            Err(error) => refused(&error),
        };
        self.operation(Action::Delete { key: key(&multihash) }, invoked, outcome)
    }

    /// Gets a block, verified.
    pub async fn get(&self, multihash: Multihash, consistency: Consistency) -> Operation {
        let invoked = self.clock.now_ns();
        let outcome = match self.client.get(multihash, wire(consistency)).await {
            Ok(Some(block)) if *block.multihash() == multihash && multihash.names(block.bytes()) => {
                self.done(Effect::Present)
            }
            Ok(Some(_)) => self.done(Effect::Wrong),
            Ok(None) => self.done(Effect::Absent),
            Err(GetError::Unavailable(unavailable)) if is_wrong(&unavailable) => self.done(Effect::Wrong),
            Err(GetError::Unavailable(unavailable)) => refused(&unavailable),
            Err(error) => refused(&error),
        };
        self.operation(Action::Get { key: key(&multihash), consistency }, invoked, outcome)
    }

    /// Asks whether a block is visible.
    pub async fn stat(&self, multihash: Multihash, consistency: Consistency) -> Operation {
        let invoked = self.clock.now_ns();
        let outcome = match self.client.stat(multihash, wire(consistency)).await {
            Ok(Some(_)) => self.done(Effect::Present),
            Ok(None) => self.done(Effect::Absent),
            Err(StatError::Unavailable(unavailable)) => refused(&unavailable),
            Err(error) => refused(&error),
        };
        self.operation(Action::Stat { key: key(&multihash), consistency }, invoked, outcome)
    }

    /// Reads one page of the listing, behind `after`.
    pub async fn list(&self, after: Option<Multihash>, limit: u32, consistency: Consistency) -> Operation {
        let cursor = after.map(|after| Cursor { after, position: self.client.position() });
        let invoked = self.clock.now_ns();
        let outcome = match self.client.list(cursor, limit, wire(consistency)).await {
            Ok(page) => {
                let keys = page.blocks.iter().map(|block| key(&block.multihash)).collect();
                self.done(Effect::Listed { keys, last: page.next.is_none() })
            }
            Err(ListError::Unavailable(unavailable)) => refused(&unavailable),
            Err(error) => refused(&error),
        };
        self.operation(Action::List { after: after.as_ref().map(key), consistency }, invoked, outcome)
    }

    fn put_outcome(&self, outcome: Result<PutOutcome, PutError>) -> Outcome {
        match outcome {
            Ok(PutOutcome::Created) => self.done(Effect::Created),
            Ok(PutOutcome::AlreadyPresent) => self.done(Effect::AlreadyPresent),
            Err(error @ PutError::Unknown { .. }) => unknown(&error),
            Err(PutError::Unavailable(unavailable)) => refused(&unavailable),
            Err(error) => refused(&error),
        }
    }

    fn operation(&self, action: Action, invoked: u64, outcome: Outcome) -> Operation {
        let returned = self.clock.now_ns();
        let node = match outcome {
            Outcome::Done { .. } => self.answered().0,
            Outcome::Refused { .. } | Outcome::Unknown { .. } => self.node,
        };
        Operation { client: self.number, node, action, invoked, returned, outcome }
    }

    fn done(&self, effect: Effect) -> Outcome {
        Outcome::Done { position: self.answered().1, effect }
    }

    /// Who gave the last answer, and as of which position: this session does one thing at a time. What nobody was asked
    /// for (an empty list of blocks has no request) is as of what the client has seen.
    fn answered(&self) -> (Option<u64>, Position) {
        match self.client.last_answer() {
            Some((node, position)) => (Some(node.0), position),
            None => (self.node, self.client.position()),
        }
    }
}

fn put_of(block: &Block) -> Action {
    Action::Put { key: key(block.multihash()), bytes: block.bytes().len() as u64 }
}

const fn wire(consistency: Consistency) -> blockraft_client::Consistency {
    match consistency {
        Consistency::Local => blockraft_client::Consistency::Local,
        Consistency::Confirmed => blockraft_client::Consistency::Confirmed,
        Consistency::Linearizable => blockraft_client::Consistency::Linearizable,
    }
}

fn is_wrong(unavailable: &Unavailable) -> bool {
    unavailable.members.iter().any(|member| matches!(member.trouble, Trouble::WrongBytes))
}

fn refused(error: &dyn core::fmt::Display) -> Outcome {
    Outcome::Refused { why: error.to_string() }
}

fn unknown(error: &dyn core::fmt::Display) -> Outcome {
    Outcome::Unknown { why: error.to_string() }
}

/// How long one operation may take: shorter than the faults that are injected, so that some run into it.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(8);
