//! Where the tasks stand that give snapshots and put them together.

use blockraft_blocks::Multihash;
use blockraft_blocks::store::LIST_LIMIT_MAX;
use blockraft_catalog::ExportPage;
use blockraft_exchange::message::BulkHeader;
use blockraft_exchange::ticket::ExportTicket;
use blockraft_exchange::{Chunk, Input, Manifest, Rest};
use blockraft_node::snapshot::{self, Job};
use blockraft_types::{BodyDigest, NodeId, RemoteTicket};
use blockraft_wire::snapshot::{SnapshotRow, encode_rows};
use bytes::Bytes;

use crate::fault::Fault;
use crate::happening::Frame;
use crate::law::Law;
use crate::life::Life;
use crate::stage::Stage;

impl Life {
    /// Holds the state still, all of it at once: there is little of it.
    pub(super) fn open_export(&mut self, stage: &mut Stage, export: ExportTicket) {
        let manifest = self.still(export);
        self.gate(stage, Input::ExportReady { export, manifest });
    }

    fn still(&mut self, export: ExportTicket) -> Option<Manifest> {
        let held = self.rows.export().ok()?;
        let (mut rows, mut after) = (Vec::new(), None);
        loop {
            let page = held.rows(after, LIST_LIMIT_MAX).ok()?;
            rows.extend(page.rows);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let manifest = snapshot::manifest_of(held.manifest(), &self.genesis);
        let clients = snapshot::clients_of(&held).ok()?;
        drop(held);
        self.exports.insert(export, (rows, clients));
        Some(manifest)
    }

    pub(super) fn send_chunk(
        &mut self,
        stage: &mut Stage,
        to: NodeId,
        (export, remote): (ExportTicket, RemoteTicket),
        after: Option<Multihash>,
        (rows_max, payload_bytes_max): (usize, u64),
    ) {
        if let (Some((all, clients)), Some(to)) = (self.exports.get(&export), stage.place(to)) {
            let behind = all.iter().filter(|row| after.is_none_or(|after| after < row.multihash)).cloned();
            let rows: Vec<_> = behind.take(rows_max).collect();
            let next = rows.last().map(|last| last.multihash).filter(|_| rows.len() == rows_max);
            let page = ExportPage { rows, next };
            let Chunk { rows, rest, .. } = snapshot::chunk_of(after, page, payload_bytes_max);
            let rows: Vec<SnapshotRow> = rows.iter().map(snapshot::sent_row).collect();
            let clients = if rest == Rest::Nothing { clients.as_ref() } else { &[] };
            let body = Bytes::from(encode_rows(&rows, clients));
            let header = BulkHeader::Chunk { export: remote, after, rest, digest: BodyDigest::of(&body) };
            let bytes = body.len() as u64;
            stage.bulk(self.place, to, Frame::Bulk { header, body }, bytes);
        }
        self.gate(stage, Input::ChunkSent { export });
    }

    pub(super) fn rows_arrived(&mut self, stage: &mut Stage, from: NodeId, header: BulkHeader, body: &Bytes) {
        let BulkHeader::Chunk { export, after, rest, digest } = header else { return };
        match snapshot::received_chunk(after, rest, body) {
            Ok(chunk) if BodyDigest::of(body) == digest => {
                self.gate(stage, Input::ChunkArrived { from, export, chunk });
            }
            _ if stage.weather.faults.has(Fault::Garbling) => {}
            _ => stage.breach(Law::RightBytes, format!("node {from} sent rows that can't be read")),
        }
    }

    pub(super) fn import(&mut self, stage: &mut Stage, job: Job) {
        match snapshot::perform(&mut self.importer, job) {
            Ok(told) => {
                if let Some(input) = told {
                    self.gate(stage, input);
                }
            }
            Err(error) => stage.breach(Law::NoPanic, format!("node {}: {error}", self.place + 1)),
        }
    }
}
