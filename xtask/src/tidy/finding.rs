//! Something that is not as agreed: where, what, and how to mend it.

use std::fmt;

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// Path relative to the root, with a line where there is one.
    pub(crate) place: String,
    pub(crate) what: String,
    pub(crate) fix: &'static str,
}

impl Finding {
    pub(crate) fn at_line(path: &str, line: usize, what: impl Into<String>, fix: &'static str) -> Self {
        Self { place: format!("{path}:{line}"), what: what.into(), fix }
    }

    pub(crate) fn in_file(path: &str, what: impl Into<String>, fix: &'static str) -> Self {
        Self { place: path.to_owned(), what: what.into(), fix }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}\n  Fix: {}", self.place, self.what, self.fix)
    }
}
