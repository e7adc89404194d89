//! Where the tasks stand that perform what the data plane wants.

use blockraft_blocks::{Block, Listed, Lookup, Multihash};
use blockraft_exchange::input::{PushOutcome, ServeOutcome, StoreFailure};
use blockraft_exchange::message::{BulkHeader, Message, Verdict};
use blockraft_exchange::ticket::{CheckTicket, ServeTicket};
use blockraft_exchange::{Effect as Wish, Input, Named};
use blockraft_node::payload::BlockPayload;
use blockraft_node::snapshot::Job;
use blockraft_types::{NodeId, RemoteTicket};
use bytes::Bytes;

use crate::fault::Fault;
use crate::happening::{Frame, What, body_of};
use crate::law::Law;
use crate::life::{Found, Life, Operation, Said};
use crate::marks::Mark;
use crate::mistake::{Origin, verify};
use crate::oracle::Presence;
use crate::stage::Stage;

impl Life {
    pub(super) fn grant(&mut self, stage: &mut Stage, wish: Wish<BlockPayload>) {
        let read = stage.weather.store_read.draw(&mut self.chance);
        match wish {
            Wish::Store { payload, space, .. } => self.operate(stage, Operation::Store { block: payload.0, space }),
            Wish::Delete { name } => self.operate(stage, Operation::Remove { name }),
            Wish::Stat { name } => stage.after(read, self.place, Some(self.boot), What::Stat { name }),
            Wish::ListStore { after, limit } => {
                stage.after(read, self.place, Some(self.boot), What::List { after, limit });
            }
            Wish::CheckRows { ticket, names } => {
                stage.after(read, self.place, Some(self.boot), What::CheckRows { ticket, names });
            }
            Wish::Send { to, message } => {
                if let Message::Receipt(receipt) = &message
                    && receipt.verdict == Verdict::Durable
                    && !self.blocks.has(&receipt.name)
                {
                    let what = format!("node {} gives a receipt for {} that it hasn't", self.place + 1, receipt.name);
                    stage.breach(Law::PromisesAreDurable, what);
                }
                self.send(stage, to, Frame::Exchange(message));
            }
            Wish::Push { to, ticket, payload } => self.push(stage, to, ticket, &payload.0),
            Wish::Serve { to, serve, ticket, name } => {
                let Some(to) = stage.place(to) else { return };
                stage.after(read, self.place, Some(self.boot), What::Serve { to, serve, ticket, name });
            }
            Wish::InlineStored { index, name } => self.inline.stored(index, &name),
            Wish::PutReady { op, .. } => self.said.push_back(Said::PutReady(op)),
            Wish::PutFailed { op, .. } => self.said.push_back(Said::PutFailed(op)),
            Wish::Repaired { name } => {
                stage.meet(Mark::Repaired);
                self.said.push_back(Said::Repaired(name));
            }
            Wish::RepairFailed { name } => self.said.push_back(Said::RepairFailed(name)),
            Wish::OpenExport { export } => self.open_export(stage, export),
            Wish::SendChunk { to, export, remote, after, rows_max, payload_bytes_max } => {
                self.send_chunk(stage, to, (export, remote), after, (rows_max, payload_bytes_max));
            }
            Wish::CloseExport { export } => drop(self.exports.remove(&export)),
            Wish::ImportChunk { chunk } => self.import(stage, Job::Import(chunk)),
            Wish::SealImport { manifest } => self.import(stage, Job::Seal(manifest)),
            Wish::ClearImport => self.import(stage, Job::Clear),
            Wish::SnapshotStuck { name, .. } => {
                let now = stage.now;
                stage.trace.say(now, format_args!("node {} finds nobody who has {name}", self.place + 1));
            }
            // The gate keeps these for the replica.
            Wish::GateMoved
            | Wish::ProposalReady { .. }
            | Wish::ProposalRefused { .. }
            | Wish::SnapshotComplete { .. } => {}
        }
    }

    pub(super) fn operate(&mut self, stage: &mut Stage, operation: Operation) {
        self.newest_operation += 1;
        let number = self.newest_operation;
        self.operations.insert(number, operation);
        let delay = stage.weather.store_write.draw(&mut self.chance);
        stage.after(delay, self.place, Some(self.boot), What::StoreDone { operation: number });
    }

    pub(crate) fn store_done(&mut self, stage: &mut Stage, number: u64) {
        let Some(operation) = self.operations.remove(&number) else { return };
        match operation {
            Operation::Store { block, space } => {
                let name = *block.multihash();
                if Multihash::of(name.hash_code(), block.bytes()) != name {
                    let what = format!("node {} stores other bytes than {name} names", self.place + 1);
                    stage.breach(Law::RightBytes, what);
                }
                let result = self.blocks.write(&block, space).map_err(|_| {
                    stage.meet(Mark::StoreFull);
                    stage.strike(Fault::StoreFull);
                    StoreFailure::Full
                });
                self.gate(stage, Input::Stored { name, result });
            }
            Operation::Remove { name } => {
                self.remove(stage, name);
                self.gate(stage, Input::Removed { name, result: Ok(()) });
            }
        }
    }

    /// What a power cut leaves of the store's operations under way: any of them.
    pub(crate) fn cut_store(&mut self, stage: &mut Stage) {
        for operation in core::mem::take(&mut self.operations).into_values() {
            stage.meet(Mark::CutWhileStoring);
            if self.chance.permille(500) {
                match operation {
                    Operation::Store { block, space } => drop(self.blocks.write(&block, space)),
                    Operation::Remove { name } => self.remove(stage, name),
                }
            }
        }
    }

    pub(super) fn remove(&self, stage: &mut Stage, name: Multihash) {
        // A log that went back in time names less than its shadow.
        if let Some(position) = stage.shadows.names(self.place, &name)
            && !stage.testimony.is_on_trial(self.place)
        {
            let what = format!("node {} removes {name}, which entry {position} of its log names", self.place + 1);
            stage.breach(Law::ReclaimOnlyDead, what);
        }
        // A removal may be under way while the block is put again in the log: from there it is stored anew.
        if stage.oracle.presence_at(&name, self.applied) == Presence::Present
            && stage.shadows.carries(self.place, &name).is_none()
        {
            let what = format!("node {} removes {name}, which has a row at {}", self.place + 1, self.applied);
            stage.breach(Law::ReclaimOnlyDead, what);
        }
        if self.blocks.remove(&name) {
            stage.meet(Mark::Reclaimed);
        }
    }

    pub(super) fn push(&mut self, stage: &mut Stage, to: NodeId, ticket: RemoteTicket, block: &Block) {
        let Some(to) = stage.place(to) else { return };
        let header = BulkHeader::Push { ticket, name: *block.multihash() };
        let bytes = block.bytes().len() as u64;
        let took = stage.bulk(self.place, to, Frame::Bulk { header, body: body_of(block) }, bytes);
        let (delay, sent) = took.map_or((BULK_TIMEOUT_MICROS, false), |micros| (micros, true));
        stage.after(delay, self.place, Some(self.boot), What::PushEnded { to, ticket, sent });
    }

    pub(crate) fn push_ended(&mut self, stage: &mut Stage, to: usize, ticket: RemoteTicket, sent: bool) {
        let outcome = if sent { PushOutcome::Sent } else { PushOutcome::Failed };
        self.gate(stage, Input::PushEnded { to: NodeId(to as u64 + 1), ticket, outcome });
    }

    pub(crate) fn serve(
        &mut self,
        stage: &mut Stage,
        to: usize,
        (serve, ticket): (ServeTicket, RemoteTicket),
        name: Multihash,
    ) {
        let outcome = match self.copy(stage, &name) {
            Found::Whole(block) => {
                let header = BulkHeader::Fetched { ticket, name };
                let bytes = block.bytes().len() as u64;
                stage.bulk(self.place, to, Frame::Bulk { header, body: body_of(&block) }, bytes);
                ServeOutcome::Sent
            }
            Found::Absent => ServeOutcome::Absent,
            Found::Damaged => ServeOutcome::Damaged,
        };
        self.gate(stage, Input::Served { ticket: serve, outcome });
    }

    /// This node's own copy of a block.
    pub(crate) fn copy(&self, stage: &mut Stage, name: &Multihash) -> Found {
        if let Some(block) = self.inline.get(name) {
            return Found::Whole(block);
        }
        match self.blocks.read(name) {
            Lookup::Present(block) => Found::Whole(block),
            Lookup::Absent => Found::Absent,
            Lookup::Damaged => {
                stage.meet(Mark::ReadDamaged);
                Found::Damaged
            }
        }
    }

    pub(crate) fn stat(&mut self, stage: &mut Stage, name: Multihash) {
        let length = self.blocks.length(&name);
        self.gate(stage, Input::Statted { name, length });
    }

    pub(crate) fn list(&mut self, stage: &mut Stage, after: Option<Multihash>, limit: usize) {
        let page = self.blocks.page(after, limit);
        let named = |listed: &Listed| Named { name: listed.multihash, length: listed.length };
        let entries = page.entries.iter().map(named).collect();
        self.gate(stage, Input::StoreListed { entries, next: page.next });
    }

    pub(crate) fn check_rows(&mut self, stage: &mut Stage, ticket: CheckTicket, names: Vec<Multihash>) {
        self.told.check_rows(&self.rows, ticket, names);
        self.schedule_tell(stage);
    }

    pub(crate) fn arrived(&mut self, stage: &mut Stage, from: NodeId, header: BulkHeader, body: Bytes) {
        let Some(name) = header.name() else { return self.rows_arrived(stage, from, header, &body) };
        match verify(Origin::Peer, name, body) {
            Ok(block) => {
                if matches!(header, BulkHeader::Fetched { .. }) {
                    stage.meet(Mark::Fetched);
                }
                self.gate(stage, Input::Arrived { from, header, payload: BlockPayload(block) });
            }
            // What came isn't what left: it goes no further, as if it had been lost.
            Err(_) if stage.weather.faults.has(Fault::Garbling) => {}
            Err(error) => stage.breach(Law::RightBytes, format!("node {} sent {error}", from)),
        }
    }
}

/// How long a lost push occupies its sender.
const BULK_TIMEOUT_MICROS: u64 = 100_000;
