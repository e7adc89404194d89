//! A real cluster of processes on this machine: built, formed, watched, hurt and always ended.

pub(crate) mod disk;
pub(crate) mod event;
pub(crate) mod leftovers;
pub(crate) mod load;
pub(crate) mod members;
pub(crate) mod node;
pub(crate) mod programs;
pub(crate) mod scratch;
pub(crate) mod signal;
pub(crate) mod wait;
pub(crate) mod words;
