//! Where a node keeps what it has seen of the others, so that it remembers over restarts: the file `witness` of its data
//! directory.
//!
//! It is written about once a second and only when there is something new, beside everything else that the node does. A
//! crash takes what was seen since; a file that can't be read counts as none, and says so.

use core::time::Duration;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use blockraft_node::Node;
use blockraft_node::witness::Witness;
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};
use tracing::warn;

/// What is kept at `path`; nothing if there is no file, or none that can be understood.
pub(crate) fn read(path: &Path) -> Witness {
    let forgotten = |error: &(dyn std::error::Error + 'static)| {
        warn!(path = %path.display(), error, "forgot_what_was_seen_of_other_members");
        Witness::default()
    };
    match fs::read(path) {
        Ok(bytes) => Witness::decode(&bytes).unwrap_or_else(|error| forgotten(&error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Witness::default(),
        Err(error) => forgotten(&error),
    }
}

/// Keeps what `node` has seen at `path`. Never ends.
pub(crate) async fn keep(node: Node, path: PathBuf) {
    let mut kept = Witness::default();
    let mut looks = interval(LOOK_INTERVAL);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        let seen = node.witness();
        if seen == kept {
            continue;
        }
        let (path, bytes) = (path.clone(), seen.encode());
        match spawn_blocking(move || write(&path, &bytes)).await {
            Ok(Ok(())) => kept = seen,
            Ok(Err(error)) => warn!(error = &error as &dyn std::error::Error, "witness_not_kept"),
            // The runtime is shutting down.
            Err(_) => return,
        }
    }
}

/// Puts `bytes` in the place of what is at `path`: after a power cut there is the one or the other.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let unfinished = path.with_extension("new");
    let mut file = File::create(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_data()?;
    fs::rename(&unfinished, path)?;
    path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_data())
}

const LOOK_INTERVAL: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
