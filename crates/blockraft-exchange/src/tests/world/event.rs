//! What has begun somewhere and will end at some time.

use blockraft_blocks::Multihash;

use super::log::Log;
use crate::message::Message;
use crate::ticket::{CheckTicket, ExportTicket, ServeTicket};
use crate::{BulkHeader, Chunk, Manifest, Named, ProposalTicket};

#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) node: usize,
    pub(super) boot: u64,
    pub(super) what: What,
}

#[derive(Clone, Debug)]
pub(super) enum What {
    Store(Named),
    Stat(Multihash),
    Delete(Multihash),
    List(Option<Multihash>, usize),
    Rows(CheckTicket, Vec<Multihash>),
    Serve {
        to: usize,
        serve: ServeTicket,
        ticket: blockraft_types::RemoteTicket,
        name: Multihash,
    },
    /// The sync of the log as it was when it began.
    Synced(Log),
    Compact(usize),
    Message {
        from: usize,
        link: u64,
        message: Message,
    },
    Bulk {
        from: usize,
        link: u64,
        header: BulkHeader,
        payload: Named,
    },
    Forward {
        from: usize,
        named: Named,
    },
    OpenExport(ExportTicket),
    SendChunk {
        to: usize,
        export: ExportTicket,
        remote: blockraft_types::RemoteTicket,
        after: Option<Multihash>,
        rows_max: usize,
    },
    Chunk {
        from: usize,
        link: u64,
        export: blockraft_types::RemoteTicket,
        chunk: Chunk,
    },
    Import(Chunk),
    Seal(Manifest),
    Complete(Manifest),
    ClearImport,
    /// The log on the disk is reset to what the catalog has.
    Reset(usize),
    Lead(u64, usize),
    Enter(ProposalTicket, Vec<Named>),
}
