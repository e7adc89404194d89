//! What the machine does without a cluster, measured again and again between the rows.

use std::collections::BTreeMap;

use anyhow::Result;

use crate::bench::row::Row;
use crate::bench::samples::Samples;
use crate::bench::stage::{LOAD_TIME_MAX, Stage};
use crate::live::event::Event;
use crate::live::load::Run;

/// All floors, by name, with their units.
#[derive(Clone, Debug, Default)]
pub(crate) struct Floors(BTreeMap<String, (String, Samples)>);

impl Floors {
    /// Measures each floor once more, for a second.
    pub(crate) fn measure(&mut self, stage: &Stage) -> Result<()> {
        let folder = stage.folder().to_string_lossy().into_owned();
        let run = Run::start(&stage.programs.load, "floors", ["--dir", &folder, "--seconds", "1"])?;
        for event in run.finish(LOAD_TIME_MAX)? {
            if let Event::Measured { name, value, unit } = event {
                self.0.entry(name).or_insert_with(|| (unit, Samples::default())).1.push(value);
            }
        }
        Ok(())
    }

    /// What was measured under a name that begins so.
    pub(crate) fn of(&self, name: &str) -> Samples {
        let floor = self.0.iter().find(|(of, _)| of.starts_with(name));
        floor.map(|(_, (_, samples))| samples.clone()).unwrap_or_default()
    }

    /// Adds what `others` measured.
    pub(crate) fn extend(&mut self, others: Self) {
        for (name, (unit, samples)) in others.0 {
            self.0.entry(name).or_insert_with(|| (unit, Samples::default())).1.extend(samples);
        }
    }

    pub(crate) fn rows(&self) -> Vec<Row> {
        self.0.iter().filter_map(|(name, (unit, samples))| Row::of(name, samples, unit)).collect()
    }
}
