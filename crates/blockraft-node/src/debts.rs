//! An eye on how far the members lag while this node leads: it has their debts measured, and says once that too few voters
//! are close to the end of the log for one of them to fail, and once that there are enough again.

use core::time::Duration;
use std::sync::Arc;

use blockraft_catalog::CatalogReader;
use blockraft_catalog::table::Table;
use blockraft_core::Status as CoreStatus;
use blockraft_exchange::{Input, Measure, Reserve, reserve};
use blockraft_types::Role;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{info, warn};

use crate::driver::Driver;

/// Looks until the driver has stopped.
pub(crate) async fn watch_debts(
    driver: Driver,
    rows: CatalogReader<Arc<dyn Table>>,
    exchange: watch::Receiver<blockraft_exchange::Status>,
) {
    let mut looks = interval(LOOK_PERIOD);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut crier = Crier::default();
    loop {
        looks.tick().await;
        let core = driver.status().core;
        let debts = exchange.borrow().debts.clone();
        let seen = (core.role == Role::Leader && !debts.is_empty()).then(|| reserve(&core.membership, &debts));
        match crier.cry(seen.as_ref()) {
            Some(News::Short) => warn!(node = core.id.0, reserve = ?seen, ?debts, "too_few_voters_close"),
            Some(News::Enough) => info!(node = core.id.0, "enough_voters_close"),
            None => {}
        }
        if driver.gate(Input::Measured { measure: measure(&core, rows.state().bytes) }).is_err() {
            return;
        }
    }
}

/// What the members of a leader are measured against; nothing if it isn't one.
fn measure(core: &CoreStatus, state_bytes: u64) -> Option<Measure> {
    if core.role != Role::Leader {
        return None;
    }
    let (last, compacted) = (core.last.index, core.anchor.index);
    let others = core.progress.iter().map(|(node, progress)| (*node, progress.match_index));
    Some(Measure { matched: others.chain([(core.id, last)]).collect(), compacted, last, state_bytes })
}

/// Says what is new, once it has lasted: a leader that was just elected has yet to hear how far the others are.
#[derive(Debug, Default)]
struct Crier {
    /// Whether too few were said to be close.
    cried: bool,
    /// How often in a row the opposite of what was said was seen.
    looks: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum News {
    Short,
    Enough,
}

impl Crier {
    fn cry(&mut self, seen: Option<&Reserve>) -> Option<News> {
        let Some(seen) = seen else {
            // Somebody else leads, and looks.
            *self = Self::default();
            return None;
        };
        let is_short = matches!(seen, Reserve::Short { .. });
        self.looks = if is_short == self.cried { 0 } else { self.looks + 1 };
        if self.looks < LOOKS_MIN {
            return None;
        }
        *self = Self { cried: is_short, looks: 0 };
        Some(if is_short { News::Short } else { News::Enough })
    }
}

/// Between two looks.
const LOOK_PERIOD: Duration = Duration::from_secs(1);

/// So many looks in a row must agree before anything is said.
const LOOKS_MIN: u32 = 3;

#[cfg(test)]
mod tests;
