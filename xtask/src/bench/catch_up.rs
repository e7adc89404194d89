//! A new node that gets the others' state by a snapshot, is killed when most of it has come, and goes on.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::bench::process_table::{bytes_read, bytes_written, forget_resident_bytes_max, resident_bytes_max};
use crate::bench::row::Row;
use crate::bench::stage::{LOAD_TIME_MAX, PutLoad, START_TIME_MAX, Stage};
use crate::live::event::Event;
use crate::live::members::Members;
use crate::live::wait;

/// Puts `mib` MiB and lets a node join; tells how long that took it, what it cost the others, and how much memory.
///
/// What the others send is told by what they read from their files meanwhile: nothing else makes them read much.
pub(crate) fn measure(stage: &mut Stage, mib: u64) -> Result<Vec<Row>> {
    eprintln!("a new node catches up on {mib} MiB and is killed on the way");
    let mut members = stage.form()?;
    members.settings(SETTINGS)?;
    members.start_all()?;
    members.leader(START_TIME_MAX)?;
    let state = put(stage, &members, mib)?;
    let place = members.join()?;
    let givers: Vec<u32> = members.ids().into_iter().flatten().collect();
    givers.iter().try_for_each(|id| forget_resident_bytes_max(*id))?;
    let read_before = read_by(&givers)?;

    let begun = Instant::now();
    members.start(place)?;
    let first_life = id_of(&members, place)?;
    let goal = state / 100 * KILLED_AT_PERCENT;
    let has_come = || {
        bytes_written(first_life).map_or_else(|error| Some(Err(error)), |written| (goal <= written).then_some(Ok(())))
    };
    wait::until(CATCH_UP_TIME_MAX, has_come).context("the new node gets nothing")??;
    let first_peak = resident_bytes_max(first_life)?;
    members.kill(place);
    let first_seconds = begun.elapsed().as_secs_f64();
    members.start(place)?;
    members.promote(place, CATCH_UP_TIME_MAX)?;
    let seconds = begun.elapsed().as_secs_f64();

    let sent = (read_by(&givers)? - read_before) as f64;
    let title = format!("a new node caught up on {mib} MiB, killed at {KILLED_AT_PERCENT} %");
    let mut rows = vec![
        Row::new(format!("until {title}"), seconds, "s"),
        Row::new(format!("payload throughput until the kill, {title}"), goal as f64 / 1e6 / first_seconds, "MB/s"),
        Row::new(format!("bytes sent twice, {title}"), (sent / state as f64 - 1.0) * 100.0, "%")
            .within(TWICE_PERCENT_MAX),
    ];
    let newest_peak = resident_bytes_max(id_of(&members, place)?)?.max(first_peak);
    let peaks = givers.into_iter().map(resident_bytes_max).chain([Ok(newest_peak)]);
    for (node, peak) in (1..).zip(peaks) {
        let name = format!("peak resident memory of node {node}, {title}");
        rows.push(Row::new(name, peak? as f64 / 1_048_576.0, "MiB").within(MEMORY_MIB_MAX));
    }
    let fallen = members.fallen();
    if !fallen.is_empty() {
        bail!("{}", fallen.join("; "));
    }
    stage.clear(members)?;
    Ok(rows)
}

/// How many bytes of blocks were acknowledged.
fn put(stage: &mut Stage, members: &Members, mib: u64) -> Result<u64> {
    let load = PutLoad { block_bytes: BLOCK_BYTES, clients: 16, bytes_max: Some(mib << 20), ..PutLoad::default() };
    let blocks = stage.put(members, load)?.finish(LOAD_TIME_MAX)?.into_iter().find_map(|event| match event {
        Event::Measured { name, value, .. } if name == "acknowledged blocks" => Some(value),
        _ => None,
    });
    Ok(blocks.context("the load tells what was acknowledged")? as u64 * BLOCK_BYTES)
}

fn read_by(ids: &[u32]) -> Result<u64> {
    ids.iter().map(|id| bytes_read(*id)).sum()
}

fn id_of(members: &Members, place: usize) -> Result<u32> {
    members.ids().get(place).copied().flatten().context("the node was started")
}

/// Logs so short that nothing but a snapshot helps.
const SETTINGS: &str = "log_entries_max = 100\nlog_entries_kept = 50\nlog_seconds_max = 2\n";

const BLOCK_BYTES: u64 = 256 << 10;
const KILLED_AT_PERCENT: u64 = 90;
const CATCH_UP_TIME_MAX: Duration = Duration::from_secs(1_800);

/// What may be sent more than once, of the state.
const TWICE_PERCENT_MAX: f64 = 2.0;

/// What a node may hold.
const MEMORY_MIB_MAX: f64 = 400.0;
