//! The cluster's own certificates: an authority that issues them, and the credentials of one node or client.

pub mod authority;
pub mod credentials;
pub mod files;
