//! How much memory nodes hold while clients put more than they can: with all nodes up, one follower dead, one paused.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::bench::process_table::resident_bytes_max;
use crate::bench::row::Row;
use crate::bench::stage::{LOAD_TIME_MAX, PutLoad, START_TIME_MAX, Stage};
use crate::live::event::Event;
use crate::live::load::{Next, Run};
use crate::live::members::Members;
use crate::live::signal::Signal;

/// What becomes of one follower when the load flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Follower {
    Up,
    Dead,
    Paused,
}

/// Lets 64 clients put `mib` MiB for each fate of a follower, and tells the most memory that each node ever held.
pub(crate) fn measure(stage: &mut Stage, mib: u64) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (fate, name) in [
        (Follower::Up, "all nodes up"),
        (Follower::Dead, "one follower dead"),
        (Follower::Paused, "one follower paused"),
    ] {
        let title = format!("64 clients put {mib} MiB, {name}");
        eprintln!("memory while {title}");
        let mut members = stage.form()?;
        members.start_all()?;
        let leader = members.leader(START_TIME_MAX)?;
        let load = PutLoad { block_bytes: BLOCK_BYTES, clients: 64, bytes_max: Some(mib << 20), ..PutLoad::default() };
        let load = stage.put(&members, load)?;
        let measured = watch(&mut members, load, (leader + 1) % 3, fate);
        // A paused node has to go on to end.
        drop(members.node((leader + 1) % 3).map(|node| node.signal(Signal::Continue)));
        let (peaks, unacknowledged) = measured?;
        for (place, peak) in peaks.into_iter().enumerate() {
            let Some(bytes) = peak else { continue };
            let row = Row::new(format!("peak resident memory of node {}, {title}", place + 1), mib_of(bytes), "MiB");
            rows.push(row.within(MEMORY_MIB_MAX));
        }
        rows.push(Row::new(format!("puts without acknowledgement, {title}"), unacknowledged, "puts"));
        stage.clear(members)?;
    }
    Ok(rows)
}

/// The peaks of the nodes that live, and how many puts were given up.
fn watch(members: &mut Members, load: Run, follower: usize, fate: Follower) -> Result<(Vec<Option<u64>>, f64)> {
    let mut peaks = vec![None; members.count()];
    let mut flows = false;
    let mut unacknowledged = 0.0;
    let begun = Instant::now();
    loop {
        if LOAD_TIME_MAX < begun.elapsed() {
            bail!("the load took longer than {} s", LOAD_TIME_MAX.as_secs());
        }
        for (peak, id) in peaks.iter_mut().zip(members.ids()) {
            *peak = id.map(resident_bytes_max).transpose()?;
        }
        match load.next(SAMPLE_TIME) {
            Next::Event(Event::Progress { .. }) if !flows => {
                flows = true;
                match (fate, members.node(follower)) {
                    (Follower::Dead, _) => members.kill(follower),
                    (Follower::Paused, Some(node)) => node.signal(Signal::Stop)?,
                    (Follower::Up | Follower::Paused, _) => {}
                }
            }
            Next::Event(Event::Measured { name, value, .. }) if name == "puts without acknowledgement" => {
                unacknowledged = value;
            }
            Next::Event(_) | Next::Silence => {}
            Next::End => break,
        }
        let fallen = members.fallen();
        if !fallen.is_empty() {
            bail!("{}", fallen.join("; "));
        }
    }
    load.finish(LOAD_TIME_MAX)?;
    Ok((peaks, unacknowledged))
}

fn mib_of(bytes: u64) -> f64 {
    bytes as f64 / 1_048_576.0
}

const BLOCK_BYTES: u64 = 256 << 10;
const SAMPLE_TIME: Duration = Duration::from_millis(500);

/// What a node may hold.
const MEMORY_MIB_MAX: f64 = 400.0;
