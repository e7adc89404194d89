//! A blockraft node as a program: what `blockraft init` and `blockraft serve` do, for the binary and for tests.

pub mod init;
pub mod serve;
