//! A segment disk that stands still under load. A follower's may cause no election, since bulk never delays a heartbeat; a
//! leader whose own stands still hands over, once.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::bench::row::Row;
use crate::bench::stage::{PutLoad, START_TIME_MAX, Stage};
use crate::live::disk::{Disk, Journal};
use crate::live::event::Event;
use crate::live::load::{Next, Run};
use crate::live::members::Members;

/// Freezes a follower's segment disk for `seconds` under load, then, in another cluster, the leader's.
pub(crate) fn measure(stage: &mut Stage, seconds: u64) -> Result<Vec<Row>> {
    let time = Duration::from_secs(seconds);
    let mut rows = Vec::new();
    for (whose, from_leader, elections_max) in [("a follower's", 1, 0.0), ("the leader's", 0, 1.0)] {
        eprintln!("{whose} segment disk stands still for {seconds} s");
        let mut members = stage.form()?;
        // Who will lead is not known yet, so each node has a disk that can be frozen.
        let mut disks = Vec::new();
        for place in 0..members.count() {
            let image = stage.folder().join(format!("disk-{}.img", place + 1));
            disks.push(Disk::in_place_of(&members.data(place).join("blocks"), image, Journal::Usual)?);
        }
        members.start_all()?;
        let leader = members.leader(START_TIME_MAX)?;
        let victim = (leader + from_leader) % members.count();
        let disk = disks.get(victim).context("each node has a disk")?;
        let seen = stall(stage, &mut members, disk, time)?;
        let title = format!("while {whose} segment disk stood still for {seconds} s");
        rows.push(Row::new(format!("elections {title}"), seen.elections as f64, "elections").within(elections_max));
        rows.push(Row::new(format!("puts {title}, as a share of those before"), seen.during / seen.before, "share"));
        rows.push(Row::new(format!("longest write gap {title}"), seen.gap_ms, "ms"));
        rows.push(Row::new(
            format!("puts after {whose} segment disk stood still, as a share of those before"),
            seen.after / seen.before,
            "share",
        ));
        rows.push(Row::new(
            format!("until all nodes were level after {whose} segment disk stood still"),
            seen.level_seconds,
            "s",
        ));
        drop(members);
        drop(disks);
        std::fs::remove_dir_all(stage.folder().join("cluster"))?;
        for place in 0..3 {
            std::fs::remove_file(stage.folder().join(format!("disk-{}.img", place + 1)))?;
        }
    }
    Ok(rows)
}

/// Rates are blocks a second.
#[derive(Clone, Copy, Debug)]
struct Seen {
    elections: u64,
    before: f64,
    during: f64,
    after: f64,
    gap_ms: f64,
    level_seconds: f64,
}

fn stall(stage: &mut Stage, members: &mut Members, disk: &Disk, time: Duration) -> Result<Seen> {
    let load = PutLoad { block_bytes: BLOCK_BYTES, clients: CLIENTS, ..PutLoad::default() };
    let load = stage.put(members, load)?;
    let mut flow = Flow::default();
    flow.watch(&load, WARM_UP_TIME)?;
    let before = flow.watch(&load, AROUND_TIME)?;
    let term = highest_term(members)?;
    let frozen = disk.freeze()?;
    // Nodes that wait for a frozen disk can't be killed: it is thawed before anything else may fail.
    let during = flow.watch(&load, time);
    let term_after = highest_term(members);
    drop(frozen);
    let thawed = Instant::now();
    let (during, term_after) = (during?, term_after?);
    let after = flow.watch(&load, AROUND_TIME)?;
    drop(load);
    members.level(LEVEL_TIME_MAX)?;
    let fallen = members.fallen();
    if !fallen.is_empty() {
        bail!("{}", fallen.join("; "));
    }
    Ok(Seen {
        elections: term_after.saturating_sub(term),
        before: before.rate,
        during: during.rate,
        after: after.rate,
        gap_ms: during.gap_ms as f64,
        level_seconds: thawed.elapsed().as_secs_f64(),
    })
}

/// A node that doesn't answer is passed by: elections raise the others' term too.
fn highest_term(members: &Members) -> Result<u64> {
    let reports = members.status()?;
    reports.iter().filter(|report| report.role.is_some()).map(|report| report.term).max().context("nobody answers")
}

/// Acknowledgements, as the load tells them.
#[derive(Clone, Copy, Debug, Default)]
struct Flow {
    blocks: u64,
}

/// What was seen in some interval.
#[derive(Clone, Copy, Debug)]
struct Interval {
    rate: f64,
    gap_ms: u64,
}

impl Flow {
    fn watch(&mut self, load: &Run, time: Duration) -> Result<Interval> {
        let begun = Instant::now();
        let first = self.blocks;
        // A gap is told when it ends; one that goes on is as long as nothing was told.
        let mut progressed = begun;
        let mut gap_ms = 0;
        while let Some(left) = time.checked_sub(begun.elapsed()) {
            match load.next(left) {
                Next::Event(Event::Progress { blocks, .. }) => {
                    self.blocks = blocks;
                    progressed = Instant::now();
                }
                Next::Event(Event::Gap { client: None, ms, .. }) => gap_ms = gap_ms.max(ms),
                Next::Event(_) | Next::Silence => {}
                Next::End => bail!("the load ended before its time"),
            }
        }
        let silent_ms = u64::try_from(progressed.elapsed().as_millis()).unwrap_or(u64::MAX);
        let open_ms = if PROGRESS_MS_MAX < silent_ms { silent_ms } else { 0 };
        let rate = (self.blocks - first) as f64 / begun.elapsed().as_secs_f64();
        Ok(Interval { rate, gap_ms: gap_ms.max(open_ms) })
    }
}

/// More than what rides in a log entry, so that it has to be stored beside it.
const BLOCK_BYTES: u64 = 64 << 10;
const CLIENTS: u32 = 16;
const WARM_UP_TIME: Duration = Duration::from_secs(2);
const AROUND_TIME: Duration = Duration::from_secs(10);
const LEVEL_TIME_MAX: Duration = Duration::from_secs(300);

/// A load that flows tells progress more often.
const PROGRESS_MS_MAX: u64 = 1_000;
