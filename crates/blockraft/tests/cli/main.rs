//! The command line as its users meet it: the built program against a real lone node.

mod bad_input;
mod blocks;
mod harness;
mod nodes;
