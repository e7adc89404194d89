//! How the program ends: its exit codes, and failures with what to do next.

use std::error::Error;
use std::fmt;
use std::process::ExitCode;

use blockraft_client::{ConnectError, LoadError, Unavailable};

/// The exit codes, in the order in which they outrank each other when several apply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exit {
    /// Done.
    #[default]
    Done,
    /// A block is absent.
    Absent,
    /// Something wasn't done.
    Failed,
    /// No member of the cluster can be reached.
    Unreachable,
    /// Something may have been done.
    Unknown,
    /// The node was removed from its cluster.
    Removed,
    /// The command line can't be understood.
    Usage,
    /// Whoever read the output has gone away: what a shell reports for a program that SIGPIPE ended.
    ClosedPipe,
}

/// Why a command ended early.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    /// What was attempted, with what, and why it failed.
    pub(crate) message: String,
    /// What to do next.
    pub(crate) hint: Option<String>,
}

impl Failure {
    /// Of an attempt that failed, with all its causes.
    pub(crate) fn failed(attempt: impl fmt::Display, error: &(dyn Error + 'static)) -> Self {
        Self { exit: Exit::Failed, message: format!("{attempt}: {}", causes(error)), hint: None }
    }

    /// Of a wish that contradicts itself.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, message: message.into(), hint: None }
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    pub(crate) fn load(error: &LoadError) -> Self {
        let failure = Self::failed("finding the cluster", error);
        match error {
            LoadError::NotAClientFolder { .. } => failure.hint(
                "name the folder with --client or BLOCKRAFT_CLIENT; `blockraft init` makes one, and so does `blockraft serve` for a lone node",
            ),
            _ => failure,
        }
    }

    pub(crate) fn connect(error: &ConnectError) -> Self {
        let failure = Self::failed("connecting to the cluster", error);
        match error {
            ConnectError::Unreachable { source, .. } => {
                let unreachable = Self { exit: Exit::Unreachable, ..failure };
                if source.is_silent() {
                    unreachable
                        .hint("is a node running? Start one with `blockraft serve`; the addresses stand in client.toml")
                } else {
                    unreachable
                }
            }
            _ => failure,
        }
    }
}

/// The exit for something that the cluster didn't do in time.
pub(crate) fn of_unavailable(unavailable: &Unavailable) -> Exit {
    if unavailable.is_unreachable() { Exit::Unreachable } else { Exit::Failed }
}

/// An error with all its causes, in one line.
pub(crate) fn causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

impl Exit {
    const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Absent => 3,
            Self::Unknown => 4,
            Self::Unreachable => 5,
            Self::Removed => 6,
            Self::ClosedPipe => 141,
        }
    }

    /// Ends the process here, whatever its threads are doing, as a crash would; what was printed must be flushed.
    ///
    /// Returning from `main` would run the destructors of RocksDB's static objects under threads that still use them,
    /// which aborts the process now and then, and hides the exit code.
    pub(crate) fn at_once(self) -> ! {
        signal_hook::low_level::exit(self.code().into())
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
