//! Killing leaders under load: how long nobody has a write acknowledged.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail};

use crate::live::event::Event;
use crate::live::load::{Next, Run};
use crate::live::members::Members;

/// The gaps of all kills.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Gaps {
    pub(crate) median_ms: f64,
    pub(crate) worst_ms: f64,
}

/// Kills whoever leads, `kills` times, under a load of small puts; each time the dead node comes back and levels.
pub(crate) fn kill_leaders(members: &mut Members, load: Run, kills: u32) -> Result<Gaps> {
    let mut gaps_ms = Vec::new();
    for _ in 0..kills {
        let leader = members.leader(PATIENCE)?;
        // The kill falls into writes that flow.
        let _ = watch(&load, FLOW)?;
        let killed_unix_ms = unix_ms();
        members.kill(leader);
        let gaps = watch(&load, AFTERMATH)?;
        let after = gaps.iter().filter(|(from, ms)| killed_unix_ms <= from + ms).map(|(_, ms)| *ms);
        // Gaps under a tenth of a second are not told.
        gaps_ms.push(after.max().unwrap_or(GAP_MS_MIN));
        members.start(leader)?;
        members.leader(PATIENCE)?;
        let _ = watch(&load, FLOW)?;
    }
    drop(load);
    summarise(gaps_ms).map_or_else(|| bail!("no leader was killed"), Ok)
}

/// The gaps over all clients that end within `time`: when each began, and how long it was, in milliseconds.
fn watch(load: &Run, time: Duration) -> Result<Vec<(u64, u64)>> {
    let end = Instant::now() + time;
    let mut gaps = Vec::new();
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        match load.next(left) {
            Next::Event(Event::Gap { client: None, from_unix_ms, ms }) => gaps.push((from_unix_ms, ms)),
            Next::Event(_) | Next::Silence => {}
            Next::End => bail!("the load ended before its time"),
        }
    }
    Ok(gaps)
}

fn summarise(mut gaps_ms: Vec<u64>) -> Option<Gaps> {
    gaps_ms.sort_unstable();
    let median_ms = *gaps_ms.get(gaps_ms.len() / 2)? as f64;
    Some(Gaps { median_ms, worst_ms: *gaps_ms.last()? as f64 })
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

const PATIENCE: Duration = Duration::from_secs(30);
const FLOW: Duration = Duration::from_secs(1);
const AFTERMATH: Duration = Duration::from_secs(4);
const GAP_MS_MIN: u64 = 100;

#[cfg(test)]
mod tests {
    use super::{Gaps, summarise};

    #[test]
    fn the_median_and_the_worst_are_told() {
        assert_eq!(summarise(vec![300, 100, 900]), Some(Gaps { median_ms: 300.0, worst_ms: 900.0 }));
        assert_eq!(summarise(Vec::new()), None);
    }
}
