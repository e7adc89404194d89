//! Where the threads `log` and `log-read` stand: what is written, in order, and what a power cut leaves of it.

use blockraft_driver::{Event, RangeRead};
use blockraft_log::{Batch, LogStore};
use blockraft_types::{LogIndex, PersistReceipt};

use crate::happening::What;
use crate::law::Law;
use crate::life::{Death, GROUP, Life, Write};
use crate::marks::Mark;
use crate::shadow::Truncation;
use crate::stage::Stage;

impl Life {
    pub(super) fn persist(&mut self, stage: &mut Stage, batch: Batch) {
        let last = batch.entries.last().map_or(0, |entry| entry.head.position.index.0);
        stage.trace.take(&[41, self.place as u64, batch.ticket.number().0, last]);
        match stage.shadows.handed(self.place, &batch, |name| self.blocks.has(name)) {
            Ok((change, truncation)) => {
                if truncation != Truncation::Nothing {
                    stage.meet(Mark::Truncated);
                }
                if truncation == Truncation::DropsMembers {
                    stage.meet(Mark::ChangeDropped);
                }
                self.writes.push_back(Write::Batch(batch, change));
                self.sync(stage);
            }
            Err((law, what)) => stage.breach(law, what),
        }
    }

    pub(super) fn sync(&mut self, stage: &mut Stage) {
        if self.syncing.is_some() || self.writes.is_empty() && self.compactions.is_empty() {
            return;
        }
        self.syncing = Some(self.writes.len());
        let delay = stage.weather.log_sync_at(self.place).draw(&mut self.chance);
        stage.after(delay, self.place, Some(self.boot), What::LogSynced);
    }

    /// Whether the log is about to begin anew.
    pub(crate) fn is_resetting(&self) -> bool {
        self.writes.iter().any(|write| matches!(write, Write::Reset(_)))
    }

    pub(crate) fn log_synced(&mut self, stage: &mut Stage) -> Result<(), Death> {
        let count = self.syncing.take().unwrap_or(0).min(self.writes.len());
        for receipt in self.write(stage, count)? {
            self.event(stage, Event::Persisted(receipt));
        }
        for through in core::mem::take(&mut self.compactions) {
            match self.log.compact(GROUP, through) {
                Ok(anchor) => {
                    stage.meet(Mark::Compacted);
                    stage.shadows.compacted(self.place, anchor.position.index);
                    self.event(stage, Event::Compacted { anchor });
                }
                Err(error) => stage.breach(Law::NoPanic, format!("node {}: {error}", self.place + 1)),
            }
        }
        self.sync(stage);
        Ok(())
    }

    /// What a power cut leaves of the sync under way: any of its first batches.
    pub(crate) fn cut_log(&mut self, stage: &mut Stage) {
        let syncing = self.syncing.unwrap_or(0).min(self.writes.len());
        let kept = self.chance.below(syncing as u64 + 1) as usize;
        if kept < self.writes.len() {
            stage.meet(Mark::CutBeforeSync);
        }
        if 0 < kept {
            stage.meet(Mark::CutAfterSync);
        }
        // Nobody hears of the receipts.
        drop(self.write(stage, kept));
    }

    /// Makes the first writes durable, in order.
    pub(super) fn write(&mut self, stage: &mut Stage, count: usize) -> Result<Vec<PersistReceipt>, Death> {
        let writes: Vec<Write> = self.writes.drain(..count).collect();
        let mut receipts = Vec::new();
        for write in writes {
            let failure = match write {
                Write::Batch(batch, change) => match self.log.persist(vec![batch]) {
                    Ok(receipt) => {
                        let verdict = stage.shadows.durable(self.place, &change);
                        stage.judge(verdict);
                        receipts.extend(receipt);
                        continue;
                    }
                    Err(error) => error.to_string(),
                },
                Write::Reset(anchor) => match self.log.reset(GROUP, anchor) {
                    Ok(()) => {
                        stage.durably_reset(self.place, anchor);
                        continue;
                    }
                    Err(error) => error.to_string(),
                },
            };
            stage.breach(Law::NoPanic, format!("node {}: {failure}", self.place + 1));
            return Err(Death::Broken);
        }
        Ok(receipts)
    }

    pub(crate) fn log_read(
        &mut self,
        stage: &mut Stage,
        request: RangeRead,
        range: (LogIndex, LogIndex),
        bytes_max: u64,
    ) {
        let result = self.reader.entries(GROUP, range.0, range.1, bytes_max);
        self.event(stage, Event::EntriesRead { request, result });
    }
}
