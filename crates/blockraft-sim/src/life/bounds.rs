//! Whether every queue is within its bound.

use crate::law::Law;
use crate::life::Life;
use crate::marks::Mark;
use crate::stage::Stage;

impl Life {
    pub(super) fn look_at_bounds(&self, stage: &mut Stage) {
        let driver = self.replica.status();
        if 0 < driver.held_appends {
            stage.meet(Mark::GateHeld);
        }
        let status = self.status.borrow();
        let bounds = &status.bounds;
        let one = stage.weather.block_bytes_max;
        let lanes = status.lanes.iter().map(|lane| lane.bytes).max().unwrap_or(0);
        let staged_max = bounds.staged_bytes_max
            + bounds.put_bytes_max
            + bounds.arriving_bytes_max
            + one * bounds.gate_names_max as u64;
        let holds = [
            ("puts", status.puts as u64, bounds.puts_max as u64),
            ("bytes of puts", status.put_bytes, bounds.put_bytes_max + one),
            ("bytes on a lane", lanes, bounds.lane_bytes_max.max(one)),
            ("fetches for the gate", status.gate_fetches as u64, bounds.gate_fetches_max as u64),
            ("bytes fetched for the gate", status.gate_fetch_bytes, bounds.gate_fetch_bytes_max.max(one)),
            ("other fetches", status.other_fetches as u64, bounds.other_fetches_max as u64),
            ("other bytes fetched", status.other_fetch_bytes, bounds.other_fetch_bytes_max.max(one)),
            ("waiting proposals", status.proposals_waiting as u64, bounds.proposals_max as u64),
            ("serves", status.serves as u64, bounds.serves_max as u64),
            ("staged bytes", status.staged_bytes, staged_max),
            ("reclaims", status.reclaims as u64, (bounds.reclaims_max + bounds.sweep_page) as u64),
            ("repairs", status.repairs as u64, bounds.repairs_max as u64),
        ];
        if let Some((what, value, bound)) = holds.into_iter().find(|(_, value, bound)| bound < value) {
            let what = format!("node {} has {value} {what}, and {bound} are the most", self.place + 1);
            stage.breach(Law::Bounds, what);
        }
    }
}
