//! What a snapshot carries besides rows: the sessions of clients, and their imports.

use crate::imports::{IMPORTS_MAX, Imports};
use crate::record::{DecodeRecordError, decode_as, encode_as};
use crate::sessions::{self, Sessions};

/// The sessions and the imports of one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clients {
    /// Which commands were carried out.
    pub sessions: Sessions,
    /// What keeps from collecting.
    pub imports: Imports,
}

impl Clients {
    /// Whether there is nothing to carry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty() && self.imports.is_empty()
    }

    /// As a snapshot carries them. While no import is open an older release can read them too.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        if self.imports.is_empty() {
            return self.sessions.encode();
        }
        encode_as(IMPORTS_VERSION, &(self.sessions.records(), self.imports.list()))
    }

    /// Reads what [`encode`](Self::encode) wrote. Whatever the bytes are, it takes little more memory than the largest
    /// tables do.
    ///
    /// # Errors
    /// The bytes are no such tables, or ones that are larger than a catalog keeps.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeRecordError> {
        if bytes.first() != Some(&IMPORTS_VERSION) {
            return Ok(Self { sessions: Sessions::decode(bytes)?, imports: Imports::default() });
        }
        if sessions::ENCODED_BYTES_MAX + IMPORTS_MAX * IMPORT_BYTES_MAX < bytes.len() {
            return Err(DecodeRecordError::Import);
        }
        let (sessions, imports) = decode_as(IMPORTS_VERSION, bytes)?;
        Ok(Self { sessions: Sessions::of_records(sessions)?, imports: Imports::of_list(imports)? })
    }
}

/// Sessions, and imports behind them.
const IMPORTS_VERSION: u8 = 2;

/// Three numbers of the largest kind.
const IMPORT_BYTES_MAX: usize = 32;
