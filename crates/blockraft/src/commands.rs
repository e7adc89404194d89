//! What each command does, a file for each.

pub(crate) mod init;
pub(crate) mod serve;
