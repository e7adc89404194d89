//! Cuts many blocks into batches that one request may hold.

use core::ops::Range;

use blockraft_wire::client::BLOCKS_MAX;

/// What one block adds to a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weight {
    /// Bytes of its name.
    pub(crate) header_bytes: usize,
    /// Bytes of the block.
    pub(crate) body_bytes: usize,
}

/// The batches, as ranges of what was given, in order. A block that is over the limit alone gets a batch of its own.
pub(crate) fn cut(weights: &[Weight], body_bytes_max: usize) -> Vec<Range<usize>> {
    let mut batches = Vec::new();
    let (mut start, mut header_bytes, mut body_bytes) = (0, 0, 0);
    for (index, weight) in weights.iter().enumerate() {
        let full = BLOCKS_MAX <= index - start
            || HEADER_BYTES_MAX < header_bytes + weight.header_bytes + LENGTH_BYTES
            || body_bytes_max < body_bytes + weight.body_bytes;
        if full && start < index {
            batches.push(start..index);
            (start, header_bytes, body_bytes) = (index, 0, 0);
        }
        header_bytes += weight.header_bytes + LENGTH_BYTES;
        body_bytes += weight.body_bytes;
    }
    if start < weights.len() {
        batches.push(start..weights.len());
    }
    batches
}

/// What the lengths of a name and of a block take in a header, at most.
const LENGTH_BYTES: usize = 12;

/// The lane takes 64 KiB; what surrounds the names has its share.
const HEADER_BYTES_MAX: usize = 60 << 10;

#[cfg(test)]
mod tests;
