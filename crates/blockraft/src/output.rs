//! What goes to standard output and standard error.

use std::fmt::Display;
use std::io::{self, BufWriter, IsTerminal, Stdout, Write};

use serde_json::Value;

use crate::exit::{Exit, Failure};

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// One object per line.
    Json,
}

/// Standard output and standard error.
#[derive(Debug)]
pub(crate) struct Output {
    format: Format,
    stdout: BufWriter<Stdout>,
}

impl Output {
    pub(crate) fn new(format: Format) -> Self {
        Self { format, stdout: BufWriter::new(io::stdout()) }
    }

    pub(crate) const fn format(&self) -> Format {
        self.format
    }

    /// One result, in the format that was asked for. A terminal sees it at once.
    pub(crate) fn line(&mut self, text: impl Display, json: impl FnOnce() -> Value) -> Result<(), Failure> {
        let written = match self.format {
            Format::Text => writeln!(self.stdout, "{text}"),
            Format::Json => writeln!(self.stdout, "{}", json()),
        };
        written.map_err(|error| unwritten(&error))?;
        if io::stdout().is_terminal() { self.flush() } else { Ok(()) }
    }

    /// Bytes as they are.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.stdout.write_all(bytes).map_err(|error| unwritten(&error))
    }

    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        self.stdout.flush().map_err(|error| unwritten(&error))
    }

    /// A failure of one item among several, to standard error.
    pub(crate) fn complain(&self, message: impl Display) {
        let _nobody_reads = writeln!(io::stderr(), "error: {message}");
    }

    /// A remark for people, to standard error.
    pub(crate) fn remark(&self, message: impl Display) {
        if self.format == Format::Text {
            let _nobody_reads = writeln!(io::stderr(), "{message}");
        }
    }

    /// The failure that ends the command.
    pub(crate) fn report(&mut self, failure: &Failure) {
        if failure.exit == Exit::ClosedPipe {
            return;
        }
        let _nobody_reads = self.stdout.flush();
        self.complain(&failure.message);
        if let Some(hint) = &failure.hint {
            let _nobody_reads = writeln!(io::stderr(), "hint: {hint}");
        }
    }
}

fn unwritten(error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Failure { exit: Exit::ClosedPipe, message: "the output is closed".to_owned(), hint: None };
    }
    Failure::failed("writing to standard output", error)
}
