//! What was attempted when the system said no.

use std::io;
use std::sync::Arc;

use blockraft_blocks::WriteError;

/// An attempt that failed, inside the store. It becomes a [`WriteError`] or an `OpenError` at the surface.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) attempt: String,
    pub(crate) source: io::Error,
}

impl Failure {
    /// For `map_err`: names what was attempted.
    pub(crate) fn to<S: Into<String>>(attempt: impl FnOnce() -> S) -> impl FnOnce(io::Error) -> Self {
        move |source| Self { attempt: attempt().into(), source }
    }
}

impl From<Failure> for WriteError {
    fn from(failure: Failure) -> Self {
        Self::Failed { attempt: failure.attempt, source: Arc::new(failure.source) }
    }
}
