//! What the kernel knows of the nodes' processes: bytes sent to the disk, memory held. Linux only.

use std::fs;

use anyhow::{Context, Result};

use crate::live::members::Members;

/// Bytes that all nodes together have caused to be written to disks.
pub(crate) fn written_bytes(members: &Members) -> Result<u64> {
    members.ids().into_iter().flatten().map(|id| number(id, "io", "write_bytes:")).sum()
}

/// The most memory that a process ever held, in bytes.
pub(crate) fn resident_bytes_max(id: u32) -> Result<u64> {
    Ok(number(id, "status", "VmHWM:")? * 1024)
}

/// Begins anew with the most memory that a process ever held.
pub(crate) fn forget_resident_bytes_max(id: u32) -> Result<()> {
    let path = format!("/proc/{id}/clear_refs");
    fs::write(&path, "5").with_context(|| format!("can't write {path}: Linux forgets such things"))
}

/// Bytes that a process has read from files, whether a disk had to be asked or not.
pub(crate) fn bytes_read(id: u32) -> Result<u64> {
    number(id, "io", "rchar:")
}

/// Bytes that a process has written to files, whether they have reached a disk or not.
pub(crate) fn bytes_written(id: u32) -> Result<u64> {
    number(id, "io", "wchar:")
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
