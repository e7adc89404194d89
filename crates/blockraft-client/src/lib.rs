//! blockraft's native client: any node of a cluster over QUIC, with failover, verified blocks and honest outcomes.
//!
//! A [`Client`] knows the members of one cluster and keeps to one of them; when that one dies, stops or stands apart, it
//! goes on with another, also with one that its configuration doesn't name and the others do. It hashes every block that it
//! receives, remembers the newest position that it has seen so that it never reads back in time, and writes in a session,
//! so that a write whose answer was lost can be asked for again and is carried out once. It isn't a cache, and it doesn't
//! read what is in a block.
//!
//! ```text
//!   put · get · has · stat · delete · list          status_of · status_all
//!            │                                             │
//!        batches        cut to what one request may hold   │
//!            │                                             │
//!        attempts       which member, when again, until when
//!            │                                             │
//!         slots         one connection per member, and whether it lives
//!            │                                             │
//!            └──────────────▶ blockraft-transport-quic ◀───┘
//! ```
//!
//! # Where it stands
//!
//! Floor 4: it speaks the client protocol of `blockraft-wire` over `blockraft-transport-quic` and knows nothing of what
//! a node does inside.
//!
//! # Example
//!
//! ```no_run
//! use std::path::Path;
//!
//! use blockraft_blocks::{Block, Codec, HashCode};
//! use blockraft_client::{Client, ClientConfig, Consistency};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::connect(ClientConfig::load(Path::new("blockraft-data/client"))?).await?;
//!
//! let block = Block::hash(HashCode::Sha2_256, "hello world");
//! client.put(block.clone()).await?;
//!
//! let cid = block.cid(Codec::RAW);
//! assert_eq!(client.get(&cid, Consistency::Confirmed).await?, Some(block));
//! client.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! # What it promises
//!
//! 1. *No wrong bytes.* A block that doesn't hash to its name is traced (`received_wrong_bytes`) and asked for elsewhere.
//! 2. *No write twice.* Writes go through a session, which is opened with the first one. When an answer is lost the write
//!    is asked for again, here or at another member, and the cluster carries it out once. It ends with `Unknown` only when
//!    no member answers in time, or when the session expired meanwhile: a cluster keeps 4,096, and the one that was used
//!    least recently gives way. [`OnUnknown::Surface`] puts without one.
//! 3. *No way back.* Each request carries the highest [`position`](Client::position) of all answers so far.
//! 4. *A dead node costs less than 300 ms* when its port is closed or its silence is that of a dead connection, and reads
//!    and writes of the session are concerned; a put outside of it that was under way there ends as `Unknown` in the same
//!    time if the port is closed, and after [`silence_max`](ClientOptions::silence_max) otherwise.
//! 5. *Every call ends* within [`request_time_max`](ClientOptions::request_time_max), for each batch of a `…_many`.
//!
//! Calls may be dropped at any moment: reads have then no effect, and of writes it is unknown whether they were done, or will
//! be until a later one is.
//!
//! # Errors
//!
//! One enum per operation, with the same words: `Unavailable` (nothing was done: try again later), `Unknown` (it may have
//! been done), `Refused` (it will never pass).
//!
//! # Limits
//!
//! [`requests_max`](ClientOptions::requests_max) requests are under way at once; more calls wait for their turn. A batch
//! holds at most [`BLOCKS_MAX`](blockraft_wire::client::BLOCKS_MAX) blocks and
//! [`batch_bytes_max`](ClientOptions::batch_bytes_max) bytes, or one block. At most 4,096 blocks lie between the oldest
//! write of the session that is unanswered and the newest one; further writes wait.
//!
//! There are two kinds of tasks: one dials a member, once per connection; one asks who the members are, at most every ten
//! seconds while the client is used. A client that stood idle while all members that it knew were replaced finds nobody: it
//! needs an address that is in use.

mod attempts;
mod batches;
pub mod client;
pub mod config;
pub mod delete;
mod dial;
pub mod folder;
pub mod get;
pub mod list;
pub mod members;
mod pool;
pub mod put;
mod roster;
mod session;
mod slot;
pub mod stat;
pub mod status;
pub mod target;
pub mod unavailable;
mod write;

pub use blockraft_wire::client::{ChangeMembersOutcome, Consistency, Cursor, ListedBlock, NodeStatus, PutOutcome};
pub use client::{Client, ConnectError};
pub use config::{ClientConfig, ClientOptions, Member, Others};
pub use delete::{DeleteError, DeleteOutcome};
pub use folder::{LoadError, SaveError};
pub use get::GetError;
pub use list::{ListError, ListPage};
pub use members::ChangeMembersError;
pub use put::{OnUnknown, PutError};
pub use stat::StatError;
pub use status::StatusError;
pub use target::Target;
pub use unavailable::Unavailable;

#[cfg(test)]
mod tests;
