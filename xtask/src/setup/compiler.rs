//! The C++ compiler: found, or the command that installs it.

use std::process::Command;

use anyhow::{Result, bail};

use crate::advice;
use crate::process;

/// A C++ compiler that answered.
#[derive(Clone, Debug)]
pub(crate) struct Compiler {
    /// The first line of what it says about itself: libraries of different compilers aren't mixed.
    pub(crate) version: String,
}

/// The compiler that the `cc` crate will take: `CXX`, else `c++`.
pub(crate) fn find() -> Result<Compiler> {
    let program = std::env::var("CXX").unwrap_or_else(|_| "c++".to_owned());
    let mut words = program.split_whitespace();
    let mut command = Command::new(words.next().unwrap_or("c++"));
    match process::capture(command.args(words).arg("--version")) {
        Ok(said) => Ok(Compiler { version: said.lines().next().unwrap_or_default().to_owned() }),
        Err(cause) => bail!(
            "a C++ compiler is needed (RocksDB is C++) and `{program}` does not answer: {cause:#}\nInstall one:\n  {}",
            advice::install(advice::COMPILER)
        ),
    }
}
