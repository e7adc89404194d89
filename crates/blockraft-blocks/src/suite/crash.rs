//! The crash test: a child process puts and deletes until it is killed, and then nothing acknowledged may be lost.
//!
//! For stores that keep blocks on disk. It takes a test with two halves: the child, which calls
//! [`write_until_killed`], and the parent, which calls [`kill_and_check`]. A kill leaves what the process had handed to
//! the operating system; it says nothing about power cuts.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;

use futures::executor::block_on;
use futures::future::join_all;

use crate::block::Block;
use crate::hash::HashCode;
use crate::store::{BlockStore, Lookup};
use crate::suite::{OpenFailure, Violation};

/// What the rounds of a crash test saw, if all was well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Survived {
    /// How many times the child was killed.
    pub kills: u64,
    /// How many acknowledged puts were found afterwards.
    pub kept: u64,
    /// How many acknowledged deletes were.
    pub gone: u64,
}

/// In the child: puts and deletes, four at a time, and says on standard output what was acknowledged. Returns only if
/// the store fails.
pub fn write_until_killed(store: &Arc<dyn BlockStore>, round: u64) {
    say("");
    block_on(join_all((0..WRITERS).map(|writer| write_on(&**store, round * BLOCKS_PER_ROUND + writer))));
}

async fn write_on(store: &dyn BlockStore, first: u64) {
    for n in (first..).step_by(WRITERS as usize) {
        if store.put(numbered(n)).await.is_err() {
            return;
        }
        say(&format!("put {n}"));
        if n % 3 == 0 {
            say(&format!("try {n}"));
            if store.delete(*numbered(n).multihash()).await.is_err() {
                return;
            }
            say(&format!("del {n}"));
        }
    }
}

/// In the parent: starts the child that `child` describes `rounds` times, kills it after some acknowledgements, opens the
/// store and looks for everything that was ever acknowledged.
///
/// # Errors
///
/// The first [`Violation`]; a child that can't be started, or a store that doesn't open, is one too.
pub fn kill_and_check(
    rounds: u64,
    mut child: impl FnMut(u64) -> Command,
    mut open: impl FnMut() -> Result<Arc<dyn BlockStore>, OpenFailure>,
) -> Result<Survived, Violation> {
    let mut acknowledged = BTreeMap::new();
    let mut survived = Survived::default();
    for round in 0..rounds {
        // Spread over a child's first moments and its steady work.
        let lines = 1 + (round * 37) % 211;
        run_until(child(round), lines, &mut acknowledged).map_err(|error| broken(round, &error))?;
        survived.kills += 1;
        let store = open().map_err(|error| broken(round, &error))?;
        let (mut kept, mut gone) = (0, 0);
        for (n, said) in &acknowledged {
            let found = block_on(store.get(*numbered(*n).multihash())).map_err(|error| broken(round, &error))?;
            match (said, found) {
                (Said::Put, Lookup::Present(_)) => kept += 1,
                (Said::Deleted, Lookup::Absent) => gone += 1,
                (Said::Trying, Lookup::Present(_) | Lookup::Absent) => {}
                (said, found) => return Err(broken(round, &format!("block {n}: it was {said:?}, and is {found:?}"))),
            }
        }
        (survived.kept, survived.gone) = (kept, gone);
    }
    Ok(survived)
}

/// The last thing a child said about a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Put,
    Trying,
    Deleted,
}

fn run_until(mut command: Command, lines: u64, acknowledged: &mut BTreeMap<u64, Said>) -> io::Result<()> {
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let output = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
    let mut heard = 0;
    let mut line = String::new();
    let mut output = BufReader::new(output);
    // A line without its end was cut by the kill, and so was the number in it.
    while output.read_line(&mut line)? > 0 && line.ends_with('\n') {
        if let Some((n, said)) = parse(line.trim_end()) {
            acknowledged.insert(n, said);
            heard += 1;
            if heard == lines {
                child.kill()?;
            }
        }
        line.clear();
    }
    child.wait()?;
    if heard < lines { Err(io::Error::other("the child ended before it was killed")) } else { Ok(()) }
}

fn parse(line: &str) -> Option<(u64, Said)> {
    let (verb, n) = line.split_once(' ')?;
    let said = match verb {
        "put" => Said::Put,
        "try" => Said::Trying,
        "del" => Said::Deleted,
        _ => return None,
    };
    Some((n.parse().ok()?, said))
}

fn say(line: &str) {
    let mut output = io::stdout().lock();
    // Nobody listens any more: the kill is on its way.
    let _ = writeln!(output, "{line}").and_then(|()| output.flush());
}

fn numbered(n: u64) -> Block {
    Block::hash(HashCode::Blake3, n.to_le_bytes().repeat(1 + (n as usize * 131) % 2_000))
}

fn broken(round: u64, found: &dyn std::fmt::Display) -> Violation {
    Violation { check: "what was acknowledged survives a kill", found: format!("round {round}: {found}") }
}

const WRITERS: u64 = 4;
const BLOCKS_PER_ROUND: u64 = 1_000_000;
