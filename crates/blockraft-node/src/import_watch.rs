//! An eye on imports that nobody keeps any more: whoever opened them has gone away, and they would hold everything for ever.

use std::collections::BTreeMap;
use std::sync::Arc;

use blockraft_catalog::table::Table;
use blockraft_catalog::{CatalogReader, Command};
use blockraft_types::{ImportId, LogIndex, Role};
use core::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::{info, warn};

use crate::driver::Driver;
use crate::write_error::WriteError;
use crate::writer::Writer;

/// What was seen of the open imports, and since when.
#[derive(Debug, Default)]
pub struct ImportWatch {
    seen: BTreeMap<ImportId, (LogIndex, Duration)>,
    looked: Duration,
}

impl ImportWatch {
    /// Looks at all imports that are `open`, with the entry that kept each last, and says which of them nobody has kept for
    /// `lease`. `now` is a clock of this process. A watch that was just begun, or whose last look is long ago, knows nothing:
    /// whatever kept it from looking may have kept others from being heard.
    pub fn look(
        &mut self,
        now: Duration,
        lease: Duration,
        open: impl IntoIterator<Item = (ImportId, LogIndex)>,
    ) -> Vec<(ImportId, LogIndex)> {
        if lease / 2 < now.saturating_sub(self.looked) {
            self.seen.clear();
        }
        self.looked = now;
        let mut seen = BTreeMap::new();
        let mut due = Vec::new();
        for (import, last_kept) in open {
            let since = match self.seen.get(&import) {
                Some((before, since)) if *before == last_kept => *since,
                Some(_) | None => now,
            };
            if lease <= now.saturating_sub(since) {
                due.push((import, last_kept));
            }
            seen.insert(import, (last_kept, since));
        }
        self.seen = seen;
        due
    }
}

/// Watches until the node has stopped. Every node looks, so that a new leader knows since when; the leader speaks.
pub(crate) async fn watch_imports(
    driver: Driver,
    writer: Writer,
    rows: CatalogReader<Arc<dyn Table>>,
    lease: Duration,
) {
    let begun = Instant::now();
    let mut looks = interval((lease / LOOKS_PER_LEASE).max(Duration::from_millis(1)));
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut watch = ImportWatch::default();
    loop {
        tokio::select! {
            _ = looks.tick() => {}
            () = writer.closed() => return,
        }
        let open = match rows.imports() {
            Ok(open) => open.value,
            Err(error) => {
                warn!(error = &error as &dyn std::error::Error, "imports_unreadable");
                continue;
            }
        };
        let due = watch.look(begun.elapsed(), lease, open.iter());
        if driver.roles().borrow().role != Role::Leader {
            continue;
        }
        for (import, last_kept) in due {
            info!(%import, "import_abandoned");
            // Where it doesn't succeed, the next look finds it again.
            if let Err(WriteError::Stopping) = writer.command(Command::ExpireImport { import, last_kept }).await {
                return;
            }
        }
    }
}

/// How often within a lease is looked: an import that nobody keeps goes on for a lease and one of these at most.
const LOOKS_PER_LEASE: u32 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_kept_is_never_due_and_who_is_not_is_after_the_whole_lease() {
        let (import, lease) = (ImportId { opened: LogIndex(3), number: 0 }, Duration::from_secs(10));
        let mut watch = ImportWatch::default();
        let mut look = |seconds, last_kept| watch.look(Duration::from_secs(seconds), lease, [(import, last_kept)]);
        for second in 100..109 {
            assert_eq!(look(second, LogIndex(3)), []);
        }
        for second in 109..119 {
            assert_eq!(look(second, LogIndex(5)), []);
        }
        assert_eq!(look(119, LogIndex(5)), [(import, LogIndex(5))]);
        assert_eq!(look(120, LogIndex(7)), []);
    }

    #[test]
    fn who_did_not_look_for_long_calls_nobody_abandoned() {
        let (import, lease) = (ImportId { opened: LogIndex(3), number: 0 }, Duration::from_secs(10));
        let mut watch = ImportWatch::default();
        let mut look = |seconds| watch.look(Duration::from_secs(seconds), lease, [(import, LogIndex(3))]);
        assert_eq!((look(100), look(105), look(111)), (vec![], vec![], vec![]));
        assert_eq!((look(116), look(120)), (vec![], vec![]));
        assert_eq!(look(121), [(import, LogIndex(3))]);
    }

    #[test]
    fn who_is_gone_is_forgotten() {
        let mut watch = ImportWatch::default();
        watch.look(
            Duration::ZERO,
            Duration::from_secs(1),
            [(ImportId { opened: LogIndex(3), number: 0 }, LogIndex(3))],
        );
        assert_eq!(watch.look(Duration::from_secs(9), Duration::from_secs(1), []), []);
        assert!(watch.seen.is_empty());
    }
}
