//! Killing leaders under load: how long nobody has a write acknowledged.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};

use crate::bench::row::Row;
use crate::bench::samples::Samples;
use crate::bench::stage::{PutLoad, START_TIME_MAX, Stage};
use crate::live::event::Event;
use crate::live::load::{Next, Run};
use crate::live::members::Members;
use crate::live::wait;
use crate::live::words;

/// Kills whoever leads, `kills` times, under a load of small puts; each time the dead node comes back.
///
/// A gap is an interval without an acknowledgement for any client. Once the leader is dead, only surviving nodes
/// acknowledge, so these are the clients of surviving nodes, those among them that moved there.
pub(crate) fn measure(stage: &mut Stage, kills: u32) -> Result<Vec<Row>> {
    eprintln!("{kills} leader kills under load");
    let mut members = stage.form()?;
    members.start_all()?;
    members.leader(START_TIME_MAX)?;
    let load = stage.put(&members, PutLoad { block_bytes: 1 << 10, clients: 16, ..PutLoad::default() })?;
    let mut gaps_ms = Samples::default();
    for kill in 1..=kills {
        let (gap_ms, away) = kill_leader(&mut members, &load)?;
        eprintln!("kill {kill}: {gap_ms} ms; restarted and caught up in {}", words::time(away));
        gaps_ms.push(gap_ms as f64);
    }
    drop(load);
    stage.clear(members)?;
    let Some(spread) = gaps_ms.spread() else { bail!("no leader was killed") };
    let row = |which: &str, value| Row::new(format!("write gap after a leader kill, {which} of {kills}"), value, "ms");
    Ok(vec![row("median", spread.median).within(MEDIAN_MS_MAX), row("worst", spread.max).within(WORST_MS_MAX)])
}

/// The gap in milliseconds, and how long the dead node took from its start until it had what the others had then.
fn kill_leader(members: &mut Members, load: &Run) -> Result<(u64, Duration)> {
    let leader = members.leader(PATIENCE)?;
    // The kill falls into writes that flow.
    watch(load, FLOW)?;
    let killed_unix_ms = unix_ms();
    members.kill(leader);
    let gaps = watch(load, AFTERMATH)?;
    let started = Instant::now();
    members.start(leader)?;
    // A second kill while this node is behind would take two of three away.
    catch_up(members, leader)?;
    let away = started.elapsed();
    watch(load, FLOW)?;
    let after = gaps.iter().filter(|(from, ms)| killed_unix_ms <= from + ms).map(|(_, ms)| *ms);
    // Gaps under a tenth of a second are not told.
    Ok((after.max().unwrap_or(GAP_MS_MIN), away))
}

fn catch_up(members: &Members, place: usize) -> Result<()> {
    let goal = members.status()?.iter().map(|node| node.applied).max().unwrap_or(0);
    let is_there = || {
        let reports = members.status().unwrap_or_default();
        reports.get(place).is_some_and(|node| goal <= node.applied).then_some(())
    };
    wait::until(CATCH_UP_TIME_MAX, is_there).with_context(|| {
        format!("node {} is not level with the others after {} s", place + 1, CATCH_UP_TIME_MAX.as_secs())
    })
}

/// The gaps over all clients that end within `time`: when each began, and how long it was, in milliseconds. It goes on
/// until a write is acknowledged after that, so that a gap which is still open then is not missed.
fn watch(load: &Run, time: Duration) -> Result<Vec<(u64, u64)>> {
    let begun = Instant::now();
    let mut gaps = Vec::new();
    loop {
        let is_over = time <= begun.elapsed();
        let left = if is_over { PATIENCE } else { time.saturating_sub(begun.elapsed()) };
        match load.next(left) {
            Next::Event(Event::Gap { client: None, from_unix_ms, ms }) => gaps.push((from_unix_ms, ms)),
            Next::Event(Event::Progress { .. }) if is_over => return Ok(gaps),
            Next::Silence if is_over => bail!("no write was acknowledged for {} s", PATIENCE.as_secs()),
            Next::Event(_) | Next::Silence => {}
            Next::End => bail!("the load ended before its time"),
        }
    }
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

const CATCH_UP_TIME_MAX: Duration = Duration::from_secs(120);
const PATIENCE: Duration = Duration::from_secs(30);
const FLOW: Duration = Duration::from_secs(1);
const AFTERMATH: Duration = Duration::from_secs(4);
const GAP_MS_MIN: u64 = 100;

/// What the median gap should stay within.
const MEDIAN_MS_MAX: f64 = 600.0;

/// What every gap should stay within.
const WORST_MS_MAX: f64 = 2_000.0;
