//! What the kernel knows of the nodes' processes: bytes sent to the disk, memory held. Linux only.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::live::load::{Next, Run};
use crate::live::members::Members;

/// Bytes that all nodes together have caused to be written to disks.
pub(crate) fn written_bytes(members: &Members) -> Result<u64> {
    members.ids().into_iter().flatten().map(|id| number(id, "io", "write_bytes:")).sum()
}

/// Runs the load to its end and tells the most memory that a node ever held, in bytes.
pub(crate) fn resident_bytes_max(members: &Members, load: Run) -> Result<u64> {
    let mut most = 0;
    loop {
        for id in members.ids().into_iter().flatten() {
            most = most.max(number(id, "status", "VmHWM:")? * 1024);
        }
        match load.next(Duration::from_millis(500)) {
            Next::Event(_) | Next::Silence => {}
            Next::End => break,
        }
    }
    load.finish(Duration::from_secs(10))?;
    Ok(most)
}

fn number(id: u32, file: &str, field: &str) -> Result<u64> {
    let path = format!("/proc/{id}/{file}");
    let text = fs::read_to_string(&path).with_context(|| format!("can't read {path}: Linux tells such things"))?;
    parse(&text, field).with_context(|| format!("{path} tells no {field}"))
}

fn parse(text: &str, field: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let text = "rchar: 5\nwrite_bytes: 4096\ncancelled_write_bytes: 7\nVmHWM:\t  1234 kB\n";
        assert_eq!(parse(text, "write_bytes:"), Some(4_096));
        assert_eq!(parse(text, "VmHWM:"), Some(1_234));
        assert_eq!(parse(text, "syscw:"), None);
    }
}
