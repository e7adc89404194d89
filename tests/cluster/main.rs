//! What a whole cluster promises, over in-memory parts.

mod deletes;
mod leadership;
mod members;
mod partitions;
mod puts;
mod reads;
mod restarts;
mod sessions;
mod snapshots;
mod stores;
