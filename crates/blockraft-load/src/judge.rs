//! Judges of a history: four that share no code, so that one mistake of ours doesn't hide a mistake of the store.
//!
//! | judge | looks at | would notice |
//! |---|---|---|
//! | [`never_deleted`] | blocks that nobody ever tried to delete | an acknowledged block that is absent later |
//! | [`linearizable`] | each block's writes and up-to-date answers, without their positions | any answer that no order of the operations explains |
//! | [`positions`] | positions alone | outcomes that contradict the log, a log that contradicts time |
//! | [`confirmed`] | what reads show, and as of when | a block that a client saw deleted and sees again; a client or a node taken back in time |
//!
//! Bytes that do not hash to their name are a violation wherever they appear. What is unknown stays unknown: it
//! excuses whatever it could have caused, at any later time.

pub mod confirmed;
pub mod linearizable;
pub mod never_deleted;
pub mod positions;

mod finding;
mod register;
mod verdict;

pub use finding::{Fault, Finding};
pub use register::{FinalState, Search, Step, Transition, search};
pub use verdict::{Verdict, judge};
