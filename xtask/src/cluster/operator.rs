//! Changes members as a user does: with `blockraft members`, `join` and `serve`, while others write.
//!
//! Each step checks what a user is promised besides the clients' answers: a removed node ends by itself with its own exit
//! code and doesn't start again, and one that comes back with an old copy of its disk, or without it, is refused by name.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};

use crate::cluster::chronicle::{Chronicle, Taken};
use crate::cluster::course::{Course, Step};
use crate::live::members::Members;
use crate::live::wait;
use crate::live::words;
use crate::process;

/// Takes the next step of `course` and writes it down.
pub(crate) fn step(course: &mut Course, members: &mut Members, chronicle: &mut Chronicle) -> Result<()> {
    let step = course.next();
    let (begun, begun_unix_ms) = (Instant::now(), unix_ms());
    let what = take(step, course, members).with_context(|| format!("can't {step}"))?;
    let lasted = begun.elapsed();
    // Clients that run have learnt of it; those that start later read the file.
    members.blockraft(["members", "save"])?;
    println!("{:>9}  {step}: {what}", words::time(lasted));
    chronicle.took(Taken { step, what, begun_unix_ms, lasted });
    // Writes flow between two steps, so that each has a gap of its own.
    wait::pause(REST);
    Ok(())
}

fn take(step: Step, course: &mut Course, members: &mut Members) -> Result<String> {
    let leader = members.leader(LEADER_TIME_MAX)?;
    let followers: Vec<usize> = members.present().into_iter().filter(|place| *place != leader).collect();
    let drawn = course.any(followers.len());
    let follower = || followers.get(drawn).copied().context("the leader is alone");
    match step {
        Step::Election => {
            members.kill(leader);
            let next = members.leader(LEADER_TIME_MAX)?;
            members.start(leader)?;
            Ok(format!("node {} led, node {} leads", leader + 1, next + 1))
        }
        Step::Add => {
            let place = take_in(members)?;
            members.promote(place, CHANGE_TIME_MAX)?;
            Ok(format!("node {}", place + 1))
        }
        Step::RemoveLeader => remove(members, leader),
        Step::RemoveFollower => remove(members, follower()?),
        Step::ReplaceWiped => {
            let place = follower()?;
            roll_back(members, place)?;
            ends(members, place, FAILED, "is behind its own past")?;
            fs::remove_dir_all(members.data(place)).context("can't wipe a data directory")?;
            members.start(place)?;
            ends(members, place, FAILED, "is no data directory")?;
            let newcomer = take_in(members)?;
            changed(&members.blockraft(["members", "replace", &id(place), "--with", &id(newcomer), "--json"])?)?;
            members.let_go(place);
            Ok(format!("node {} by node {}", place + 1, newcomer + 1))
        }
    }
}

/// A node that was invited, and runs.
fn take_in(members: &mut Members) -> Result<usize> {
    let place = members.join()?;
    members.start(place)?;
    Ok(place)
}

fn remove(members: &mut Members, place: usize) -> Result<String> {
    changed(&members.blockraft(["members", "remove", &id(place), "--json"])?)?;
    ends(members, place, REMOVED, "was removed from the cluster")?;
    members.start(place)?;
    ends(members, place, REMOVED, "was removed from the cluster")?;
    members.let_go(place);
    Ok(format!("node {}", place + 1))
}

/// Lets a node go on from a copy of its directory that lacks what it has promised since.
fn roll_back(members: &mut Members, place: usize) -> Result<()> {
    let (data, copy) = (members.data(place), members.folder().join("copy"));
    members.kill(place);
    copy_folder(&data, &copy)?;
    let copied = members.status()?.iter().map(|report| report.applied).max().unwrap_or(0);
    members.start(place)?;
    let went_on = wait::until(CATCH_UP_TIME_MAX, || {
        let reports = members.status().ok()?;
        reports.iter().find(|report| report.node == place as u64 + 1 && copied < report.applied).map(drop)
    });
    went_on.with_context(|| format!("node {} does not go on", place + 1))?;
    members.kill(place);
    fs::remove_dir_all(&data).context("can't wipe a data directory")?;
    fs::rename(&copy, &data).context("can't put the copy in place")?;
    members.start(place)
}

fn copy_folder(source: &Path, target: &Path) -> Result<()> {
    process::capture(Command::new("cp").arg("-a").args([source, target])).map(drop)
}

/// A node has to end by itself, with this exit code and these words.
fn ends(members: &mut Members, place: usize, code: i32, words: &str) -> Result<()> {
    let (status, said) = members.end(place, END_TIME_MAX)?;
    ensure!(
        status.code() == Some(code) && said.contains(words),
        "node {} should end with exit code {code} and say that it {words}, and ended with {status}: {said}",
        place + 1
    );
    Ok(())
}

/// A change has to be reported as done.
fn changed(said: &str) -> Result<()> {
    let outcome: serde_json::Value = serde_json::from_str(said).context("a change of members prints no JSON")?;
    if outcome["outcome"] != "changed" {
        bail!("expected a change of members, was told {said}");
    }
    Ok(())
}

fn id(place: usize) -> String {
    (place + 1).to_string()
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The exit codes of `blockraft serve` that a supervisor may see here.
const FAILED: i32 = 1;
const REMOVED: i32 = 6;

const LEADER_TIME_MAX: Duration = Duration::from_secs(30);
const CHANGE_TIME_MAX: Duration = Duration::from_secs(60);
const CATCH_UP_TIME_MAX: Duration = Duration::from_secs(30);
const END_TIME_MAX: Duration = Duration::from_secs(30);
const REST: Duration = Duration::from_secs(1);
