//! Postcard with our manners: the allocator never hears of a length that only the sender vouches for.
//!
//! Serde reserves room for a sequence by the length that the input claims, up to 1 MiB at a time. The reader here
//! tells it nothing, so a collection grows with the elements that really arrive.

use bytes::Bytes;
use postcard::de_flavors::Flavor;
use postcard::ser_flavors::ExtendFlavor;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::mistake::Mistake;

/// Reads values one after the other from a header.
pub(crate) struct HeaderReader<'de> {
    rest: &'de [u8],
}

impl<'de> HeaderReader<'de> {
    pub(crate) const fn new(header: &'de [u8]) -> Self {
        Self { rest: header }
    }

    /// The next value.
    pub(crate) fn take<T: DeserializeOwned>(&mut self) -> Result<T, postcard::Error> {
        let mut deserializer = postcard::Deserializer::from_flavor(Frugal { rest: self.rest });
        let value = T::deserialize(&mut deserializer);
        if Mistake::ErrorsPanic.is_made() {
            assert!(value.is_ok(), "the header can't be read");
        }
        let value = value?;
        self.rest = deserializer.finalize()?;
        Ok(value)
    }

    /// How many bytes are left.
    pub(crate) const fn rest_bytes(&self) -> usize {
        self.rest.len()
    }
}

/// Writes values one after the other into a header.
pub(crate) struct HeaderWriter {
    bytes: Vec<u8>,
}

impl HeaderWriter {
    /// Starts behind what `bytes` already holds.
    pub(crate) const fn behind(bytes: Vec<u8>) -> Self {
        Self { bytes }
    }

    pub(crate) fn put<T: Serialize + ?Sized>(mut self, value: &T) -> Result<Self, postcard::Error> {
        self.bytes = postcard::serialize_with_flavor(value, ExtendFlavor::new(self.bytes))?;
        Ok(self)
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// A source that hands out what it has and never tells how much that is.
struct Frugal<'de> {
    rest: &'de [u8],
}

impl<'de> Flavor<'de> for Frugal<'de> {
    type Remainder = &'de [u8];
    type Source = &'de [u8];

    fn pop(&mut self) -> postcard::Result<u8> {
        let (&first, rest) = self.rest.split_first().ok_or(postcard::Error::DeserializeUnexpectedEnd)?;
        self.rest = rest;
        Ok(first)
    }

    /// Zero makes postcard withhold a sequence's claimed length from serde. It is a hint for reserving room, nothing
    /// else hangs on it.
    fn size_hint(&self) -> Option<usize> {
        Some(0)
    }

    fn try_take_n(&mut self, count: usize) -> postcard::Result<&'de [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(postcard::Error::DeserializeUnexpectedEnd)?;
        self.rest = rest;
        Ok(taken)
    }

    fn finalize(self) -> postcard::Result<Self::Remainder> {
        Ok(self.rest)
    }
}

/// Cuts raw bodies off a frame's tail, each by the length that the header names. Nothing is copied.
pub(crate) struct BodyReader {
    rest: Bytes,
}

impl BodyReader {
    pub(crate) const fn new(tail: Bytes) -> Self {
        Self { rest: tail }
    }

    /// The next `length` bytes, or `None` if there are not so many.
    pub(crate) fn take(&mut self, length: u64) -> Option<Bytes> {
        let length = usize::try_from(length).ok().filter(|&length| length <= self.rest.len())?;
        Some(self.rest.split_to(length))
    }

    pub(crate) fn rest_bytes(&self) -> usize {
        self.rest.len()
    }
}
