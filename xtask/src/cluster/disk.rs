//! Disks of the nodes' own, whose power can be cut: ext4 in a file, shut down by an ioctl so that only what was synced
//! is there afterwards.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::process;

/// A mounted file system for each node's data directory; unmounted when the owner goes away.
#[derive(Debug)]
pub(crate) struct Disks {
    disks: Vec<Disk>,
}

#[derive(Debug)]
struct Disk {
    image: PathBuf,
    mounted_at: PathBuf,
}

/// What this machine lacks to cut power, in words.
pub(crate) fn lacking() -> Option<String> {
    let is_root = process::capture(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    if !is_root {
        return Some("cutting power needs root, to mount".to_owned());
    }
    let missing = ["mkfs.ext4", "mount", "umount", "perl"].into_iter().find(|program| !is_there(program));
    missing.map(|program| format!("cutting power needs `{program}`"))
}

/// libeatmydata, where Debian's family and Fedora's put it.
pub(crate) fn sync_swallower() -> Option<PathBuf> {
    let folders =
        ["/usr/lib", "/usr/lib64", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/local/lib"];
    let names = ["libeatmydata.so", "libeatmydata.so.1", "libeatmydata/libeatmydata.so"];
    let mut paths = folders.iter().flat_map(|folder| names.iter().map(move |name| Path::new(folder).join(name)));
    paths.find(|path| path.is_file())
}

impl Disks {
    /// Moves each node's data directory in `folder` onto a disk of its own, mounted in its place.
    pub(crate) fn mount(folder: &Path, nodes: usize) -> Result<Self> {
        let mut disks = Self { disks: Vec::new() };
        for node in 1..=nodes {
            let image = folder.join(format!("disk-{node}.img"));
            let mounted_at = folder.join(format!("node-{node}"));
            let file = File::create(&image).context("can't create the disk's file")?;
            file.set_len(IMAGE_BYTES).context("can't size the disk's file")?;
            run(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&image))?;
            let aside = folder.join(format!("node-{node}.formed"));
            fs::rename(&mounted_at, &aside)?;
            fs::create_dir(&mounted_at)?;
            let disk = Disk { image, mounted_at };
            disk.mount()?;
            run(Command::new("cp").arg("-a").arg(aside.join(".")).arg(&disk.mounted_at))?;
            run(Command::new("chmod").arg("700").arg(&disk.mounted_at))?;
            run(Command::new("sync").arg("-f").arg(&disk.mounted_at))?;
            fs::remove_dir_all(&aside)?;
            disks.disks.push(disk);
        }
        Ok(disks)
    }

    /// From now on nothing reaches the disk, and what was not synced never will.
    pub(crate) fn cut(&self, place: usize) -> Result<()> {
        let disk = self.disks.get(place).context("no such disk")?;
        run(Command::new("perl").args(["-e", SHUTDOWN]).arg(&disk.mounted_at))
    }

    /// The power is back; the disk's journal is replayed. Nobody may have files open on it.
    pub(crate) fn restore(&self, place: usize) -> Result<()> {
        let disk = self.disks.get(place).context("no such disk")?;
        run(Command::new("umount").arg(&disk.mounted_at))?;
        disk.mount()
    }
}

impl Disk {
    fn mount(&self) -> Result<()> {
        run(Command::new("mount").args(["-o", "loop"]).arg(&self.image).arg(&self.mounted_at))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let mut umount = Command::new("umount");
        // One that is not mounted needs no unmounting, and the owner can do nothing about any other.
        let _ = umount.arg(&self.mounted_at).stderr(Stdio::null()).status();
    }
}

fn run(command: &mut Command) -> Result<()> {
    process::capture(command).map(drop)
}

fn is_there(program: &str) -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders).any(|folder| folder.join(program).is_file())
}

/// Size of each disk. The files have holes: only what is written takes room.
const IMAGE_BYTES: u64 = 4 << 30;

/// EXT4_IOC_SHUTDOWN without flushing the journal.
const SHUTDOWN: &str =
    r#"my $flags = pack("L", 2); open(my $f, "<", $ARGV[0]) or die "$!"; ioctl($f, 0x8004587D, $flags) // die "$!";"#;
