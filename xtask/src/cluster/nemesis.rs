//! Carries out a schedule of faults, and heals.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::cluster::faults::{Fault, Victim};
use crate::cluster::outcome::Outcome;
use crate::cluster::schedule::{Schedule, Stroke};
use crate::live::disk::Disk;
use crate::live::members::Members;
use crate::live::signal::Signal;
use crate::live::words;

/// A schedule under way.
#[derive(Debug)]
pub(crate) struct Nemesis {
    begun: Instant,
    /// Strokes to come, the next one last.
    strokes: Vec<Stroke>,
    /// What must be undone, and when.
    wounds: Vec<Wound>,
}

#[derive(Clone, Copy, Debug)]
struct Wound {
    until: Duration,
    fault: Fault,
    place: usize,
}

impl Nemesis {
    pub(crate) fn new(schedule: Schedule) -> Self {
        let mut strokes = schedule.strokes;
        strokes.reverse();
        Self { begun: Instant::now(), strokes, wounds: Vec::new() }
    }

    /// How long nothing is to be done; `None` when nothing is left.
    pub(crate) fn until_next(&self) -> Option<Duration> {
        let wounds = self.wounds.iter().map(|wound| wound.until);
        let next = wounds.chain(self.strokes.last().map(|stroke| stroke.at)).min()?;
        Some(next.saturating_sub(self.begun.elapsed()))
    }

    pub(crate) const fn is_over(&self) -> bool {
        self.strokes.is_empty() && self.wounds.is_empty()
    }

    /// Does what is due.
    pub(crate) fn act(&mut self, members: &mut Members, disks: &[Disk], outcome: &mut Outcome) -> Result<()> {
        let now = self.begun.elapsed();
        outcome.fallen.extend(members.fallen());
        let (due, later) = self.wounds.drain(..).partition::<Vec<_>, _>(|wound| wound.until <= now);
        self.wounds = later;
        for wound in due {
            mend(wound, members)?;
        }
        if self.strokes.last().is_some_and(|stroke| stroke.at <= now)
            && let Some(stroke) = self.strokes.pop()
        {
            self.strike(stroke, members, disks, outcome)?;
        }
        Ok(())
    }

    /// Ends all faults that last.
    pub(crate) fn heal(&mut self, members: &mut Members) -> Result<()> {
        for wound in self.wounds.drain(..) {
            mend(wound, members)?;
        }
        members.start_all()
    }

    fn strike(&mut self, stroke: Stroke, members: &mut Members, disks: &[Disk], outcome: &mut Outcome) -> Result<()> {
        let places = match stroke.victim {
            Victim::All => (0..members.count()).collect(),
            Victim::Node(place) => vec![place],
            // Between two leaders there is none to strike.
            Victim::Leader => members.leader(Duration::ZERO).into_iter().collect(),
        };
        let hurt: Vec<usize> =
            places.into_iter().filter(|place| !self.wounds.iter().any(|wound| wound.place == *place)).collect();
        if hurt.is_empty() {
            return Ok(());
        }
        let nodes: Vec<String> = hurt.iter().map(|place| (place + 1).to_string()).collect();
        println!(
            "{:>9}  {} {} (node {}) for {}",
            words::time(self.begun.elapsed()),
            stroke.fault,
            stroke.victim,
            nodes.join(", "),
            words::time(stroke.lasts)
        );
        outcome.struck(stroke.fault);
        // A power cut is one moment for all that it concerns.
        if stroke.fault == Fault::PowerCut {
            for &place in &hurt {
                own_disk(disks, place)?.cut_power()?;
            }
        }
        for place in hurt {
            match stroke.fault {
                Fault::Kill => members.kill(place),
                Fault::PowerCut => {
                    members.kill(place);
                    own_disk(disks, place)?.restore_power()?;
                }
                Fault::Stop => {
                    if let Some(node) = members.node(place) {
                        node.stop()?;
                    }
                    members.kill(place);
                }
                Fault::Pause => {
                    if let Some(node) = members.node(place) {
                        node.signal(Signal::Stop)?;
                    }
                }
            }
            self.wounds.push(Wound { until: self.begun.elapsed() + stroke.lasts, fault: stroke.fault, place });
        }
        Ok(())
    }
}

fn own_disk(disks: &[Disk], place: usize) -> Result<&Disk> {
    disks.get(place).context("power is cut only where the disks are our own")
}

fn mend(wound: Wound, members: &mut Members) -> Result<()> {
    match wound.fault {
        Fault::Kill | Fault::Stop | Fault::PowerCut => members.start(wound.place),
        Fault::Pause => members.node(wound.place).map_or(Ok(()), |node| node.signal(Signal::Continue)),
    }
}
