//! Exhaustive exploration: every state that the real core can reach within [`Bounds`], each judged by the laws of Raft.
//!
//! Depth first, each state once, told apart by a 128-bit fingerprint of members, disks, messages and history. Where a law
//! breaks, the steps that led there are the answer.

mod bounds;
mod configuration;
mod image;
mod law;
mod member;
mod space;
mod world;

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use blockraft_core::Config;
use thiserror::Error;

pub use bounds::{Begin, Bounds, Change, Disk, Order};
pub use law::Broken;
pub use space::{STATES_MAX, Size, Space};
use world::{Action, Setting, World};

/// What an exploration went through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// States, each counted once.
    pub states: u64,
    /// Steps taken between them.
    pub steps: u64,
    /// The longest way from the beginning that was walked.
    pub depth: usize,
    /// Whether every state was visited. Otherwise the limit of states came first.
    pub closed: bool,
}

/// A way to a state in which a law doesn't hold.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{broken}\n{}", steps.join("\n"))]
pub struct Counterexample {
    /// The law.
    pub broken: Broken,
    /// The steps from the beginning, one line each.
    pub steps: Vec<String>,
    /// How many states were visited before.
    pub states: u64,
}

/// Visits every state within `bounds`, at most `states_max`, with members as `choose` configures them.
///
/// Takes 16 bytes of memory per state.
///
/// # Errors
///
/// The first state that breaks a law, a panic of the core included.
pub fn explore(
    bounds: Bounds,
    states_max: u64,
    choose: impl FnOnce(Config) -> Config,
) -> Result<Census, Box<Counterexample>> {
    let setting = Setting::new(bounds, choose);
    let counterexample = |broken, path: &[Frame], last: Option<String>, states| {
        let steps = path.iter().skip(1).map(|frame| frame.by.clone()).chain(last).collect();
        Box::new(Counterexample { broken, steps, states })
    };
    let born = World::born(&setting).map_err(|broken| counterexample(broken, &[], None, 0))?;
    let mut seen: HashSet<u128> = HashSet::from([born.fingerprint(bounds.order)]);
    let mut census = Census { states: 1, closed: true, ..Census::default() };
    let mut path = vec![Frame::of(born, String::new(), &setting)];
    while let Some(frame) = path.last_mut() {
        let Some(action) = frame.untried.pop() else {
            path.pop();
            continue;
        };
        census.steps += 1;
        let stepped = catch_unwind(AssertUnwindSafe(|| frame.world.after(&action, &setting)));
        let next = match stepped.unwrap_or_else(|panic| Err(Broken::new("the core never panics", words(&*panic)))) {
            Ok(next) => next,
            Err(broken) => {
                let last = frame.world.tell(&action);
                return Err(counterexample(broken, &path, Some(last), census.states));
            }
        };
        if !seen.insert(next.fingerprint(bounds.order)) {
            continue;
        }
        if census.states == states_max {
            census.closed = false;
            return Ok(census);
        }
        census.states += 1;
        let by = frame.world.tell(&action);
        path.push(Frame::of(next, by, &setting));
        census.depth = census.depth.max(path.len() - 1);
    }
    Ok(census)
}

/// A state on the way from the beginning to where the exploration is.
struct Frame {
    world: World,
    /// The step that led here.
    by: String,
    untried: Vec<Action>,
}

impl Frame {
    fn of(world: World, by: String, setting: &Setting) -> Self {
        let untried = world.actions(setting);
        Self { world, by, untried }
    }
}

fn words(panic: &(dyn core::any::Any + Send)) -> String {
    let owned = panic.downcast_ref::<String>().cloned();
    owned.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
