//! What a whole cluster promises, over in-memory parts.

mod deletes;
mod puts;
mod reads;
mod restarts;
