//! Drives a running blockraft cluster, records what it answered, and judges whether it kept its promises.
//!
//! It is a program beside the cluster, not a part of it: it knows the client and no server code, so that a mistake of
//! the server can't hide in its own judge. `cargo xtask demo`, `cluster` and `bench` start it and read the lines of
//! JSON that it prints.
//!
//! ```text
//!   workload ┐                                   ┌ never_deleted
//!   store    ├─▶ session ─▶ cluster              ├ linearizable ◀─ register
//!   verify   ┘      │                            ├ positions
//!                   └──────▶ history ─▶ judge ───┴ confirmed
//! ```
//!
//! # Where it stands
//!
//! Floor 5: on `blockraft-client` for clusters, and on `blockraft-transport-quic` to measure what the network alone can
//! do. Nobody depends on it.
//!
//! # Example
//!
//! ```
//! use blockraft_load::history::Operation;
//! use blockraft_load::judge::{Fault, judge};
//!
//! let lines = [
//!     r#"{"client":1,"action":"put","key":"12ab","bytes":5,"invoked":0,"returned":9,
//!         "result":"done","position":{"term":1,"index":4},"effect":"created"}"#,
//!     r#"{"client":2,"action":"get","key":"12ab","consistency":"linearizable","invoked":10,"returned":12,
//!         "result":"done","position":{"term":1,"index":4},"effect":"absent"}"#,
//! ];
//! let history: Vec<Operation> = lines.map(|line| serde_json::from_str(line)).into_iter().collect::<Result<_, _>>()?;
//! let verdict = judge(&history);
//! assert_eq!(verdict.faults.keys().collect::<Vec<_>>(), [&Fault::Lost, &Fault::NotLinearizable]);
//! # Ok::<(), serde_json::Error>(())
//! ```
//!
//! # What it promises
//!
//! 1. An operation whose answer was lost is recorded as unknown and stays so: it excuses whatever it may have caused.
//! 2. An operation is recorded as refused only when the client was told that it surely did not happen.
//! 3. A verdict is clean only if every promise was kept *and* every block could be judged.
//!
//! # Limits
//!
//! A history is held in memory while it is judged. Blocks with more than 64 operations under way at once are not judged
//! and counted as undecided; the workload stays far below.

pub mod clock;
pub mod floors;
pub mod gaps;
pub mod history;
pub mod judge;
pub mod material;
pub mod report;
pub mod session;
pub mod status;
pub mod store;
pub mod tree;
pub mod verify;
pub mod workload;
pub mod writes;
