//! The command line as its users meet it: the built program against a real lone node, and against three.

#![expect(clippy::unwrap_used, reason = "in a test, a panic is how a claim fails")]

mod bad_input;
mod blocks;
mod harness;
mod members;
mod nodes;
mod recover;
mod sessions;
mod trio;
