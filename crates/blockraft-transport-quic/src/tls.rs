//! TLS 1.3 between holders of one cluster's certificates, and nothing else.

pub mod config;
pub mod verifier;
