//! What becomes of a change of members.

use blockraft_core::ready::ChangeOutcome;
use blockraft_types::ChangeRefusal;
use thiserror::Error;
use tokio::sync::oneshot;

/// Why a change of members was not begun, as far as this member knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ChangeError {
    /// The core refused it: nothing was appended.
    #[error("the change was refused: {0}")]
    Refused(ChangeRefusal),
    /// The driver has stopped. The change may have been begun; asking again is safe.
    #[error("the driver has stopped")]
    Stopped,
}

pub(crate) type ChangePromise = oneshot::Sender<Result<ChangeOutcome, ChangeError>>;
