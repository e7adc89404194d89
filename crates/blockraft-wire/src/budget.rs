//! How much memory a frame may turn into: four times its bytes and 64 KiB.
//!
//! Some decoded types are many times larger than their shortest encoding. Without a budget, a peer could make us
//! allocate a multiple of what it had to send.

use crate::frame::DecodeError;
use crate::kind::Kind;

/// The rest of what one frame may allocate.
#[derive(Debug)]
pub(crate) struct Budget {
    kind: Kind,
    frame_bytes: usize,
    rest: usize,
}

impl Budget {
    pub(crate) const fn of_frame(kind: Kind, frame_bytes: usize) -> Self {
        Self { kind, frame_bytes, rest: frame_bytes.saturating_mul(4).saturating_add(64 * 1024) }
    }

    pub(crate) fn charge(&mut self, bytes: usize) -> Result<(), DecodeError> {
        let refusal = DecodeError::Memory { kind: self.kind, frame_bytes: self.frame_bytes as u64 };
        self.rest = self.rest.checked_sub(bytes).ok_or(refusal)?;
        Ok(())
    }

    /// Charges for a vector of `count` elements, before it is made.
    pub(crate) fn charge_vec<T>(&mut self, count: usize) -> Result<(), DecodeError> {
        self.charge(count.saturating_mul(size_of::<T>()))
    }
}
