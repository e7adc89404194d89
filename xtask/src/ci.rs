//! `cargo xtask ci`: everything that guards the main branch, in its order, and a table of how long each step took.
//!
//! Quick steps come first. A failed step does not hide the later ones: the table at the end names them all.

mod bare;
mod cluster;
mod deny;
mod seeded;
mod steps;

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::Args;

use crate::ci::steps::STEPS;
use crate::setup;
use crate::workspace::Workspace;

/// Run all that CI runs, in its order
#[derive(Debug, Args)]
pub(crate) struct Ci {
    /// Run these steps only
    #[arg(long = "only", value_name = "STEP")]
    only: Vec<String>,

    /// Print the steps and what each one proves
    #[arg(long)]
    list: bool,
}

impl Ci {
    pub(crate) fn run(self, workspace: &Workspace) -> Result<()> {
        if self.list {
            for step in STEPS {
                println!("{:<8} {}", step.name, step.about);
            }
            return Ok(());
        }
        if let Some(unknown) = self.only.iter().find(|name| !STEPS.iter().any(|step| step.name == name.as_str())) {
            bail!("there is no step `{unknown}`; `cargo xtask ci --list` names them");
        }
        let mut rows: Vec<Row> = vec![Row::time("setup", || setup::ensure(workspace))];
        if rows.iter().all(|row| row.result.is_ok()) {
            let chosen = |name: &str| self.only.is_empty() || self.only.iter().any(|only| only == name);
            for step in STEPS.iter().filter(|step| chosen(step.name)) {
                println!("\n== {}: {}", step.name, step.about);
                rows.push(Row::time(step.name, || (step.run)(workspace)));
            }
        }
        report(&rows)
    }
}

/// One line of the closing table.
struct Row {
    name: &'static str,
    took: Duration,
    result: Result<()>,
}

impl Row {
    fn time(name: &'static str, step: impl FnOnce() -> Result<()>) -> Self {
        let started = Instant::now();
        let result = step();
        if let Err(error) = &result {
            eprintln!("{name} failed: {error:#}");
        }
        Self { name, took: started.elapsed(), result }
    }
}

fn report(rows: &[Row]) -> Result<()> {
    println!();
    for row in rows {
        let verdict = if row.result.is_ok() { "ok" } else { "FAILED" };
        println!("{:<8} {:>7}  {verdict}", row.name, clock(row.took));
    }
    println!("{:<8} {:>7}", "total", clock(rows.iter().map(|row| row.took).sum()));
    let failed: Vec<&str> = rows.iter().filter(|row| row.result.is_err()).map(|row| row.name).collect();
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    Ok(())
}

fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::{Row, STEPS, report};

    #[test]
    fn one_failed_step_fails_the_whole_and_is_named() {
        let rows = [Row::time("good", || Ok(())), Row::time("bad", || bail!("no"))];
        assert_eq!(report(&rows).unwrap_err().to_string(), "failed: bad");
        assert!(report(&rows[..1]).is_ok());
    }

    #[test]
    fn the_readme_test_command_is_a_step() {
        assert!(STEPS.iter().any(|step| step.name == "test"));
    }
}
