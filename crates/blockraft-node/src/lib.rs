//! A blockraft node from parts: any log, any transport, any block store, any catalog table, assembled into one member of
//! a cluster that keeps content-addressed blocks strongly consistent and durable.
//!
//! It is the place where the seams meet their implementations. It knows neither RocksDB nor QUIC, and nothing of terms
//! and votes beyond "accepted", "not the leader, try that one" and "outcome unknown".
//!
//! # Where it stands
//!
//! ```text
//!             your program, blockraft-service, blockraft (the binary)
//!                                   │ Node: put get has stat delete list
//!   ┌───────────────────────────────▼──────────────────────────────────┐
//!   │ writer ─► commands in batches ─► here if this node leads, else    │
//!   │           forwarded once, naming the leader's term                │
//!   │ reader ─► read index (one round for all that wait) ─► catalog ─►  │
//!   │           block store, repaired from a peer where damaged         │
//!   │ gate   ─► the data plane (`blockraft-exchange`) in the loop       │
//!   │ plane  ─► performs what the data plane wants: store, push, fetch  │
//!   │ inbox  ─► sorts what arrives, verifies payloads                   │
//!   └──┬───────────────┬────────────────┬───────────────┬──────────────┘
//!   LogStore       Transport       BlockStore      catalog Table
//! ```
//!
//! What decides in there (the gate, the catalog as a state machine, the order between them, the replay at the start) is an
//! [`assembly`] without threads, tasks, clocks or sockets. The simulator runs the same one.
//!
//! # Threads and tasks
//!
//! The driver's own threads (`raft`, `apply`, `log`, `log-read`), and these tokio tasks: one that performs the data
//! plane's wishes and starts a task for each, one that reads the control lane, four that read and verify bulk transfers,
//! one that batches commands, one that confirms read indexes, one that carries what was applied to the data plane, one
//! that looks how far members lag, one that looks for imports that nobody keeps, one for each open import that keeps it, and
//! one at start-up that looks for blocks that the log names and the store lost. All end
//! with [`Node::shutdown`].
//!
//! # Examples
//!
//! A node of its own, in memory. `examples/three_nodes.rs` has three of them in one process and loses the leader;
//! `examples/swap_a_layer.rs` runs on a block store of its own making.
//!
//! ```
//! use std::sync::Arc;
//!
//! use blockraft_blocks::{Block, HashCode, MemoryStore};
//! use blockraft_catalog::MemoryTable;
//! use blockraft_log::MemoryDisk;
//! use blockraft_node::{Consistency, Identity, NodeConfig, Outcome, Parts};
//! use blockraft_transport::{Network, Peer};
//! use blockraft_types::{BootNonce, ClusterId, Incarnation, Membership, NodeId};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (node, incarnation, boot) = (NodeId(1), Incarnation::from_bytes([1; 16]), BootNonce(1));
//! let identity = Identity { cluster: ClusterId::from_bytes([1; 16]), node, incarnation, boot };
//! let parts = Parts {
//!     log: Box::new(MemoryDisk::new().open()),
//!     transport: Arc::new(Network::new().endpoint(Peer { node, incarnation, boot })),
//!     blocks: Arc::new(MemoryStore::new()),
//!     table: Arc::new(MemoryTable::new()),
//! };
//! let genesis = Membership::of_voters([(node, incarnation)]);
//! let node = blockraft_node::start(NodeConfig::new(identity, genesis), parts).await?;
//!
//! let block = Block::hash(HashCode::Sha2_256, "hello");
//! assert_eq!(node.put(block.clone()).await?.outcome, Outcome::Created);
//! let read = node.get(*block.multihash(), Consistency::Linearizable).await?;
//! assert_eq!(read.value, Some(block));
//! node.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! # The contract
//!
//! 1. Format data directories once; never start a member from an empty log that once had one, or from a copy. A member that
//!    finds another one who [remembers](witness) that it had come further doesn't start, or stops when it finds it later.
//! 2. Give every start a fresh [`BootNonce`](blockraft_types::BootNonce) and seed.
//! 3. Set peers' addresses on the transport before you start the node; it only receives from it.
//! 4. When [`Node::stopped`] resolves with anything but a shutdown, end the process: its storage can't be trusted.
//!
//! # Limits
//!
//! Blocks up to [`NodeLimits::blocks`] (2 MiB by default); beyond [`NodeLimits::put_bytes_max`] bytes under way, puts
//! wait. Everything else is bounded by the configuration of the crates below.

pub mod answer;
pub mod attendance;
mod batch;
pub mod config;
pub mod consistency;
pub mod graph;
pub mod import;
pub mod members;
pub mod node;
pub mod parts;
pub mod read_error;
pub mod session;
pub mod start;
pub mod start_error;
pub mod status;
pub mod write_error;

pub mod assembly;
pub mod batch_course;
pub mod forced_recovery;
pub mod freshness;
pub mod gate;
pub mod import_watch;
pub mod inline_pending;
pub mod lost_tail;
pub mod machine;
pub mod payload;
pub mod read_course;
pub mod recall;
pub mod replay;
pub mod snapshot;
pub mod told;
pub mod witness;
pub mod witness_format;

mod addresses;
mod debts;
mod driver;
mod exchange_frame;
mod inbox;
mod introductions;
mod mender;
mod mistake;
mod plane;
mod reader;
mod requests;
mod waiting;
mod writer;

pub use answer::{Answer, Count, ListPage, Written};
pub use batch::Batch;
pub use blockraft_catalog::{Outcome, Row};
pub use blockraft_driver::{InForce, Standing, StopReason};
pub use blockraft_exchange::{Debt, Reserve};
pub use config::{Identity, NodeConfig, NodeLimits, Origin};
pub use consistency::Consistency;
pub use graph::{CollectError, Collected, LinkError, PinError};
pub use import::{Import, ImportError};
pub use members::{MembersError, MembersObstacle, MembersOutcome, NewMember};
#[cfg(seeded_bugs)]
pub use mistake::Mistake;
pub use node::Node;
pub use parts::Parts;
pub use read_error::ReadError;
pub use session::Session;
pub use start::start;
pub use start_error::StartError;
pub use status::Status;
pub use write_error::{Obstacle, WriteError};
