//! Has blocks brought back whose copy is gone although the log or the catalog speaks of them: a few at a time, each as often
//! as it takes, so that neither their number nor a peer that comes late leaves one out.

use core::time::Duration;
use std::collections::VecDeque;
use std::sync::Arc;

use blockraft_blocks::store::ReadError;
use blockraft_blocks::{BlockStore, Multihash};
use blockraft_catalog::CatalogReader;
use blockraft_catalog::moment::RowError;
use blockraft_catalog::table::Table;
use blockraft_exchange::{Input, Named};
use blockraft_types::LogIndex;
use thiserror::Error;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::{info, warn};

use crate::driver::Driver;
use crate::replay::{self, Spoken};

/// Who mends after a start.
#[derive(Debug)]
pub(crate) struct Mender {
    pub(crate) driver: Driver,
    pub(crate) blocks: Arc<dyn BlockStore>,
    pub(crate) rows: CatalogReader<Arc<dyn Table>>,
    /// What was applied at the start.
    pub(crate) applied: LogIndex,
}

/// Why nothing more is mended before the next start.
#[derive(Debug, Error)]
enum MendError {
    /// The node has stopped.
    #[error("the node has stopped")]
    Stopped,
    #[error("the block store can't tell what it has")]
    Store(#[from] ReadError),
    #[error("the catalog can't be read")]
    Rows(#[from] RowError),
}

/// A block that peers are asked for.
#[derive(Clone, Copy, Debug)]
struct Asked {
    spoken: Spoken,
    until: Instant,
}

impl Mender {
    /// Ends once each of `named` has its copy or is deleted, and each block of the catalog as well if `is_in_doubt`; or when
    /// the node stops.
    pub(crate) async fn run(self, named: Vec<Spoken>, is_in_doubt: bool) {
        match self.mend_all(named, is_in_doubt).await {
            Ok(mended) => info!(mended, "checked_blocks"),
            Err(MendError::Stopped) => {}
            Err(error) => warn!(error = &error as &dyn std::error::Error, "mending_ended"),
        }
    }

    /// Says how many blocks had no copy.
    async fn mend_all(&self, named: Vec<Spoken>, is_in_doubt: bool) -> Result<usize, MendError> {
        let mut mended = self.mend(named).await?;
        if !is_in_doubt {
            return Ok(mended);
        }
        let mut after = None;
        loop {
            let (rows, next) = replay::page_of_rows(&self.rows, after)?;
            mended += self.mend(rows).await?;
            after = next;
            if after.is_none() {
                return Ok(mended);
            }
        }
    }

    async fn mend(&self, spoken: Vec<Spoken>) -> Result<usize, MendError> {
        let mut lost = VecDeque::from(self.lost(spoken).await?);
        let count = lost.len();
        if 0 < count {
            warn!(blocks = count, "blocks_without_copy");
        }
        let mut asked: Vec<Asked> = Vec::new();
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !lost.is_empty() || !asked.is_empty() {
            while asked.len() < ASKED_MAX {
                let Some(spoken) = lost.pop_front() else { break };
                let Named { name, length } = spoken.named;
                self.driver.gate(Input::Repair { name, length }).map_err(|_| MendError::Stopped)?;
                asked.push(Asked { spoken, until: Instant::now() + ASKED_FOR });
            }
            looks.tick().await;
            let missing = self.lost(asked.iter().map(|asked| asked.spoken).collect()).await?;
            let missing: Vec<Multihash> = missing.iter().map(|spoken| spoken.named.name).collect();
            asked.retain(|asked| missing.contains(&asked.spoken.named.name));
            let (late, on_time) = asked.into_iter().partition(|asked| asked.until <= Instant::now());
            asked = on_time;
            let late: Vec<Asked> = late;
            lost.extend(late.iter().map(|asked| asked.spoken));
        }
        Ok(count)
    }

    async fn lost(&self, spoken: Vec<Spoken>) -> Result<Vec<Spoken>, MendError> {
        Ok(replay::lost(self.blocks.as_ref(), &self.rows, self.applied, spoken).await?)
    }
}

/// Below what the data plane mends at once: it mends what reads come across as well.
const ASKED_MAX: usize = 64;
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Longer than the data plane tries.
const ASKED_FOR: Duration = Duration::from_secs(12);
