//! `cargo xtask test`: set up, then every test of the workspace, and one closing line that counts them.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;

use crate::process;
use crate::setup;
use crate::workspace::Workspace;

/// Set up what is missing, then run every test
#[derive(Debug, Args)]
pub(crate) struct Test {
    /// Minutes after which building and running is ended as hanging
    #[arg(long, default_value_t = 40)]
    minutes: u64,

    /// Handed to `cargo test` instead of `--workspace`, for instance `-- -p blockraft-core`
    #[arg(last = true)]
    arguments: Vec<String>,
}

impl Test {
    pub(crate) fn run(self, workspace: &Workspace) -> Result<()> {
        setup::ensure(workspace)?;
        let mut cargo = workspace.cargo();
        cargo.args(["test", "--locked"]);
        if self.arguments.is_empty() {
            cargo.arg("--workspace");
        } else {
            cargo.args(&self.arguments);
        }
        let started = Instant::now();
        let mut tally = Tally::default();
        let result = process::run_lines(&mut cargo, Duration::from_secs(self.minutes * 60), |line| tally.take(line));
        println!("\n{tally}, {} s", started.elapsed().as_secs());
        result.context("not every test passed")
    }
}

/// Sums of the `test result:` lines.
#[derive(Debug, Default)]
struct Tally {
    suites: u32,
    passed: u32,
    failed: u32,
}

impl Tally {
    fn take(&mut self, line: &str) {
        let Some(result) = line.strip_prefix("test result: ") else { return };
        let mut words = result.split([' ', ';', '.']).filter(|word| !word.is_empty());
        let mut before = words.next().unwrap_or_default();
        for word in words {
            match word {
                "passed" => self.passed += before.parse().unwrap_or(0),
                "failed" => self.failed += before.parse().unwrap_or(0),
                _ => {}
            }
            before = word;
        }
        self.suites += 1;
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} tests passed, {} failed, in {} suites", self.passed, self.failed, self.suites)
    }
}

#[cfg(test)]
mod tests {
    use super::Tally;

    #[test]
    fn results_are_summed_over_suites() {
        let mut tally = Tally::default();
        tally.take("test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s");
        tally.take("test a::b ... ok");
        tally.take("test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1s");
        assert_eq!(tally.to_string(), "15 tests passed, 2 failed, in 2 suites");
    }
}
