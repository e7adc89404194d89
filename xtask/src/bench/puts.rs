//! Puts of two lengths by 1, 16 and 64 clients: how many, how fast, and what they write to the disks.

use anyhow::Result;

use crate::bench::floors::Floors;
use crate::bench::process_table::written_bytes;
use crate::bench::row::Row;
use crate::bench::samples::Samples;
use crate::bench::stage::{LOAD_TIME_MAX, PutLoad, START_TIME_MAX, Stage};
use crate::live::event::Event;
use crate::live::members::Members;

/// Measures each kind of load `repeats` times, for `seconds` each, and the floors before, between and after.
pub(crate) fn measure(stage: &mut Stage, seconds: u64, repeats: u32) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let mut floors = Floors::default();
    for (name, block_bytes) in [("1 KiB", 1_u64 << 10), ("256 KiB", 256 << 10)] {
        let mut members = stage.form()?;
        members.start_all()?;
        members.leader(START_TIME_MAX)?;
        for clients in [1, 16, 64] {
            eprintln!("puts of {name}, {clients} clients");
            let load = PutLoad { block_bytes, clients, seconds: Some(seconds), bytes_max: None };
            let mut around = Floors::default();
            let mut seen = Seen::default();
            around.measure(stage)?;
            for _ in 0..repeats {
                seen.measure(stage, &members, load)?;
                around.measure(stage)?;
            }
            rows.extend(seen.rows(load, &format!("{name}, {clients} clients"), name, &around));
            floors.extend(around);
        }
        stage.clear(members)?;
    }
    rows.extend(floors.rows());
    Ok(rows)
}

/// One load, seen several times.
#[derive(Clone, Debug, Default)]
struct Seen {
    device_bytes: Samples,
    blocks: Samples,
    payload: Samples,
    latency_ms: Samples,
    failed: Samples,
}

impl Seen {
    fn measure(&mut self, stage: &mut Stage, members: &Members, load: PutLoad) -> Result<()> {
        let before = written_bytes(members)?;
        let mut acknowledged = 0.0;
        for event in stage.put(members, load)?.finish(LOAD_TIME_MAX)? {
            let Event::Measured { name, value, .. } = event else { continue };
            match name.as_str() {
                "acknowledged blocks" => acknowledged = value,
                "throughput" => self.blocks.push(value),
                "payload throughput" => self.payload.push(value),
                "median latency" => self.latency_ms.push(value),
                "puts without acknowledgement" => self.failed.push(value),
                _ => {}
            }
        }
        let written = written_bytes(members)?.saturating_sub(before) as f64;
        self.device_bytes.push(written / (acknowledged * load.block_bytes as f64) / members.count() as f64);
        Ok(())
    }

    fn rows(&self, load: PutLoad, title: &str, length: &str, floors: &Floors) -> Vec<Row> {
        let row = |what: &str, samples, unit| Row::of(format!("{what}, {title}"), samples, unit);
        let synced = floors.of(&format!("sequential synced writes of {length}"));
        let device_bytes = row("device bytes per byte", &self.device_bytes, "bytes");
        let throughput = row("put throughput", &self.blocks, "blocks/s").map(|row| row.beside(&synced));
        let latency = row("median put latency", &self.latency_ms, "ms");
        let failed = row("puts without acknowledgement", &self.failed, "puts").map(|row| row.within(0.0));
        let rows = if load.block_bytes < LARGE_BYTES {
            // What rides in the log is written there and in the store; and the floor of the network is for large blocks.
            [device_bytes, throughput, latency, failed, None]
        } else {
            let bulk = floors.of("QUIC bulk");
            let payload = row("payload throughput", &self.payload, "MB/s").map(|row| row.beside(&bulk));
            [device_bytes.map(|row| row.within(DEVICE_BYTES_MAX)), throughput, latency, failed, payload]
        };
        rows.into_iter().flatten().collect()
    }
}

/// Blocks of this length or more are judged by what they cost the disks and the network.
const LARGE_BYTES: u64 = 256 << 10;

/// Bytes that each replica may write for each byte of a large block.
const DEVICE_BYTES_MAX: f64 = 1.05;
