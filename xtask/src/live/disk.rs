//! Disks of the nodes' own: ext4 in a file, mounted in the place of a folder. Their power can be cut, so that only what
//! was synced is there afterwards, and they can be frozen, so that writes and syncs stand still.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::process;

/// A mounted file system; thawed and unmounted when the owner goes away.
#[derive(Debug)]
pub(crate) struct Disk {
    image: PathBuf,
    mounted_at: PathBuf,
    options: &'static str,
}

/// When the file system writes its journal by itself, without being asked to sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Journal {
    /// Every five seconds, as everywhere.
    Usual,
    /// Hardly ever: what nobody syncs is lost for sure.
    Lazy,
}

/// What this machine lacks for disks of our own, in words.
pub(crate) fn lacking() -> Option<String> {
    let is_root = process::capture(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    if !is_root {
        return Some("mounting the nodes' disks needs root".to_owned());
    }
    let missing = ["mkfs.ext4", "mount", "umount", "fsfreeze", "perl"].into_iter().find(|program| !is_there(program));
    missing.map(|program| format!("the nodes' disks need `{program}`"))
}

/// libeatmydata, where Debian's family and Fedora's put it.
pub(crate) fn sync_swallower() -> Option<PathBuf> {
    let folders =
        ["/usr/lib", "/usr/lib64", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/local/lib"];
    let names = ["libeatmydata.so", "libeatmydata.so.1", "libeatmydata/libeatmydata.so"];
    let mut paths = folders.iter().flat_map(|folder| names.iter().map(move |name| Path::new(folder).join(name)));
    paths.find(|path| path.is_file())
}

impl Disk {
    /// Moves `folder`, which is created if need be, onto a disk of its own in the new file `image`. Nobody may use it.
    pub(crate) fn in_place_of(folder: &Path, image: PathBuf, journal: Journal) -> Result<Self> {
        let file = File::create_new(&image).with_context(|| format!("can't create {}", image.display()))?;
        file.set_len(IMAGE_BYTES).context("can't size the disk's file")?;
        run(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&image))?;
        let aside = folder.with_extension("formed");
        fs::create_dir_all(folder)?;
        fs::rename(folder, &aside)?;
        fs::create_dir(folder)?;
        let options = match journal {
            Journal::Usual => "loop",
            Journal::Lazy => "loop,commit=3600",
        };
        let disk = Self { image, mounted_at: folder.to_owned(), options };
        disk.mount()?;
        run(Command::new("cp").arg("-a").arg(aside.join(".")).arg(&disk.mounted_at))?;
        run(Command::new("chmod").arg("--reference").arg(&aside).arg(&disk.mounted_at))?;
        fs::remove_dir(folder.join("lost+found")).ok();
        disk.sync()?;
        fs::remove_dir_all(&aside)?;
        Ok(disk)
    }

    /// All that was written so far becomes durable, whatever the nodes' own syncs do.
    pub(crate) fn sync(&self) -> Result<()> {
        run(Command::new("sync").arg("-f").arg(&self.mounted_at))
    }

    /// From now on nothing reaches the disk, and what was not synced never will.
    pub(crate) fn cut_power(&self) -> Result<()> {
        run(Command::new("perl").args(["-e", SHUTDOWN]).arg(&self.mounted_at))
    }

    /// The power is back; the journal is replayed. Nobody may have files open on it.
    pub(crate) fn restore_power(&self) -> Result<()> {
        run(Command::new("umount").arg(&self.mounted_at))?;
        self.mount()
    }

    /// Whoever writes waits, until the returned value goes away. What is left frozen when this process is killed is
    /// thawed with the run's other leftovers.
    pub(crate) fn freeze(&self) -> Result<Frozen<'_>> {
        let frozen = Frozen(self);
        run(Command::new("fsfreeze").arg("-f").arg(&self.mounted_at))?;
        Ok(frozen)
    }

    fn mount(&self) -> Result<()> {
        run(Command::new("mount").args(["-o", self.options]).arg(&self.image).arg(&self.mounted_at))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // One that is not mounted needs no unmounting, and the owner can do nothing about any other.
        quietly(Command::new("umount").arg(&self.mounted_at));
    }
}

/// A disk on which writes stand still.
#[derive(Debug)]
pub(crate) struct Frozen<'a>(&'a Disk);

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        quietly(Command::new("fsfreeze").arg("-u").arg(&self.0.mounted_at));
    }
}

fn run(command: &mut Command) -> Result<()> {
    process::capture(command).map(drop)
}

fn quietly(command: &mut Command) {
    let _ = command.stderr(Stdio::null()).status();
}

fn is_there(program: &str) -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders).any(|folder| folder.join(program).is_file())
}

/// Size of each disk. The files have holes: only what is written takes room.
const IMAGE_BYTES: u64 = 16 << 30;

/// EXT4_IOC_SHUTDOWN without flushing the journal.
const SHUTDOWN: &str =
    r#"my $flags = pack("L", 2); open(my $f, "<", $ARGV[0]) or die "$!"; ioctl($f, 0x8004587D, $flags) // die "$!";"#;
