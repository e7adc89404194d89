//! A client against scripted nodes on a paused clock, and against QUIC.

mod failover;
mod folder;
mod members;
mod outcomes;
mod quic;
mod reads;
mod scripted;
