//! What a run may leave behind when it is killed: a folder, and disks mounted in it, perhaps frozen.
//!
//! A folder is a run's as long as its process holds the lock of the file in it. The kernel gives the lock back when the
//! process ends, however it ends; so a folder with a lock that nobody holds is a dead run's, and one without a lock
//! file is none of ours, or was kept on purpose.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::live::wait;

/// Takes `folder` for this process, as long as the returned file is open.
pub(crate) fn claim(folder: &Path) -> Result<File> {
    // Only a locked file gets the name that others look for.
    let unnamed = folder.join("lock.new");
    let lock = File::create_new(&unnamed).with_context(|| format!("can't create {}", unnamed.display()))?;
    lock.try_lock().context("a file that was just created is locked")?;
    fs::rename(&unnamed, folder.join(LOCK)).context("can't name the lock")?;
    Ok(lock)
}

/// Whatever is in `folder` stays from now on, whoever dies.
pub(crate) fn disclaim(folder: &Path) -> Result<()> {
    fs::remove_file(folder.join(LOCK)).with_context(|| format!("can't keep {}", folder.display()))
}

/// Removes what dead runs of the owner of `own` left beside it, and tells which folders that were.
pub(crate) fn remove_beside(own: &Path) -> Vec<PathBuf> {
    let (Some(parent), Ok(owner)) = (own.parent(), fs::metadata(own).map(|own| own.uid())) else { return Vec::new() };
    let Ok(entries) = fs::read_dir(parent) else { return Vec::new() };
    let ours = entries.flatten().filter(|entry| {
        let is_named_so = entry.file_name().to_string_lossy().starts_with(PREFIX);
        // Of a link, this is about the link and not about its target.
        is_named_so && entry.metadata().is_ok_and(|entry| entry.is_dir() && entry.uid() == owner)
    });
    let paths: Vec<PathBuf> = ours.map(|entry| entry.path()).collect();
    paths.into_iter().filter(|path| matches!(remove_if_dead(path), Ok(Removal::Done))).collect()
}

/// What became of a folder that may be a dead run's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Removal {
    /// It was one and is gone.
    Done,
    /// Its process lives.
    Alive,
    /// It is no run's, or was kept.
    NotOurs,
}

/// Removes `folder` if it is a dead run's.
pub(crate) fn remove_if_dead(folder: &Path) -> Result<Removal> {
    let lock = match File::open(folder.join(LOCK)) {
        Ok(lock) => lock,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Removal::NotOurs),
        Err(error) => return Err(error).with_context(|| format!("can't open the lock of {}", folder.display())),
    };
    if lock.try_lock().is_err() {
        return Ok(Removal::Alive);
    }
    remove(folder).map(|()| Removal::Done)
}

/// Thaws and unmounts every disk in `folder`, and removes it.
pub(crate) fn remove(folder: &Path) -> Result<()> {
    unmount_all(folder);
    fs::remove_dir_all(folder).with_context(|| format!("can't remove {}", folder.display()))
}

/// Processes that still die hold a disk for a moment. One that is held for longer is unmounted when it is let go.
fn unmount_all(folder: &Path) {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    for disk in mounted_in(&mounts, folder) {
        let run = |program: &str, options: &[&str]| {
            let mut command = Command::new(program);
            command.args(options).arg(&disk).stdout(Stdio::null()).stderr(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        };
        // A disk that isn't frozen needs no thawing, and who waits for a frozen one can't die.
        run("fsfreeze", &["-u"]);
        if wait::until(DYING_TIME_MAX, || run("umount", &[]).then_some(())).is_none() {
            run("umount", &["-l"]);
        }
    }
}

/// Where file systems are mounted below `folder`, the inner ones first.
fn mounted_in(mounts: &str, folder: &Path) -> Vec<PathBuf> {
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(1));
    let points = points.map(|point| PathBuf::from(point.replace("\\040", " ")));
    let mut inside: Vec<PathBuf> = points.filter(|point| point != folder && point.starts_with(folder)).collect();
    inside.sort();
    inside.reverse();
    inside
}

/// How the folders of runs begin.
pub(crate) const PREFIX: &str = "blockraft-";

/// The file whose lock says that a run lives.
pub(crate) const LOCK: &str = "run.lock";
const DYING_TIME_MAX: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::{LOCK, Removal, claim, disclaim, mounted_in, remove_beside, remove_if_dead};

    fn folder(parent: &Path, name: &str) -> PathBuf {
        let folder = parent.join(name);
        fs::create_dir_all(folder.join("node-1/blocks")).unwrap();
        folder
    }

    #[test]
    fn a_dead_runs_folder_goes_and_a_living_ones_stays() {
        let parent = tempfile::tempdir().unwrap();
        let own = folder(parent.path(), "blockraft-cluster-1-3");
        let living = folder(parent.path(), "blockraft-cluster-1-1");
        let dead = folder(parent.path(), "blockraft-bench-2");
        let _held = claim(&living).unwrap();
        drop(claim(&dead).unwrap());
        assert_eq!(remove_beside(&own), std::slice::from_ref(&dead));
        assert!(living.is_dir() && own.is_dir() && !dead.exists());
        assert_eq!(remove_if_dead(&living).unwrap(), Removal::Alive);
    }

    #[test]
    fn what_was_kept_or_is_somebody_elses_stays() {
        let parent = tempfile::tempdir().unwrap();
        let own = folder(parent.path(), "blockraft-cluster-1-3");
        let kept = folder(parent.path(), "blockraft-cluster-1-1");
        drop(claim(&kept).unwrap());
        disclaim(&kept).unwrap();
        let foreign = folder(parent.path(), "blockraft-data");
        let other = folder(parent.path(), "photographs");
        fs::write(other.join(LOCK), "").unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let target = folder(elsewhere.path(), "dead");
        drop(claim(&target).unwrap());
        std::os::unix::fs::symlink(&target, parent.path().join("blockraft-link")).unwrap();
        assert_eq!(remove_beside(&own), [] as [PathBuf; 0]);
        assert!([kept, foreign, other, target].iter().all(|folder| folder.is_dir()));
    }

    #[test]
    fn disks_in_the_folder_are_found_and_no_others() {
        let mounts = "/dev/vda / ext4 rw 0 0\n/dev/loop0 /t/a\\040b/node-1 ext4 rw 0 0\n\
                      /dev/loop1 /t/a\\040b/node-1/blocks ext4 rw 0 0\n/dev/loop2 /t/a\\040bc/node-1 ext4 rw 0 0\n";
        let found = mounted_in(mounts, Path::new("/t/a b"));
        assert_eq!(found, [PathBuf::from("/t/a b/node-1/blocks"), PathBuf::from("/t/a b/node-1")]);
    }
}
