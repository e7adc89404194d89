//! What each command does, a file for each.

pub(crate) mod get;
pub(crate) mod has;
pub(crate) mod init;
pub(crate) mod join;
pub(crate) mod ls;
pub(crate) mod members;
pub(crate) mod put;
pub(crate) mod recover;
pub(crate) mod rm;
pub(crate) mod serve;
pub(crate) mod stat;
pub(crate) mod status;
