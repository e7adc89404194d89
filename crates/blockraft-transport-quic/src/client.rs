//! Clients and nodes: requests and answers, a stream each, on a protocol and with certificates of their own.

pub mod connection;
pub mod listener;
mod request_room;
