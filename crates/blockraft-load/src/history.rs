//! What clients did and what they were told: one operation per line of JSON, in the order in which they ended.
//!
//! ```
//! use blockraft_load::history::{Action, Effect, Operation, Outcome};
//!
//! let line = r#"{"client":3,"node":1,"action":"put","key":"1220ab","bytes":5,"invoked":10,"returned":25,
//!     "result":"done","position":{"term":1,"index":9},"effect":"created"}"#;
//! let operation: Operation = serde_json::from_str(line)?;
//! assert_eq!(operation.action, Action::Put { key: "1220ab".into(), bytes: 5 });
//! assert!(matches!(operation.outcome, Outcome::Done { effect: Effect::Created, .. }));
//! # Ok::<(), serde_json::Error>(())
//! ```
//!
//! `docs/history.md` describes each field, and how to read what the judges say.
//!
//! Times are nanoseconds of one monotonic clock, counted from a moment that all clients of the history share. An
//! operation that ended before another was invoked happened before it; all others were concurrent.

mod file;
mod operation;

pub use file::{Continuation, HistoryWriter, read};
pub use operation::{Action, Consistency, Effect, Key, Operation, Outcome};

#[cfg(test)]
pub(crate) mod story;
#[cfg(test)]
mod tests;
