//! A block as a vertex of a graph: its bytes, read under one codec.

use blockraft_blocks::{Cid, Codec, Multihash};
use serde::{Deserialize, Serialize};

/// What a CID of version 1 says: which bytes, and what to read them as. The same bytes may link elsewhere under another
/// codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Vertex {
    /// The block.
    pub multihash: Multihash,
    /// What its bytes are to be read as.
    pub codec: Codec,
}

impl Vertex {
    /// What a CID leads to; nothing if it carries the bytes itself, since such a block is never stored.
    ///
    /// # Examples
    /// ```
    /// use blockraft_blocks::{Cid, Codec, HashCode, Multihash};
    /// use blockraft_catalog::Vertex;
    ///
    /// let multihash = Multihash::of(HashCode::Sha2_256, b"a block");
    /// let vertex = Vertex { multihash, codec: Codec::DAG_PB };
    /// assert_eq!(Vertex::of(&Cid::v0(multihash)?), Some(vertex), "both spellings are one vertex");
    /// assert_eq!(Vertex::of(&Cid::v1(Codec::DAG_PB, multihash)), Some(vertex));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn of(cid: &Cid) -> Option<Self> {
        cid.multihash().map(|&multihash| Self { multihash, codec: cid.codec() })
    }

    /// Whether it links to nothing, whatever its bytes are.
    #[must_use]
    pub fn is_raw(&self) -> bool {
        self.codec == Codec::RAW
    }
}
