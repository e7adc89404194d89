//! A member without its surroundings: what of a node decides, put together over what its disks hold.
//!
//! There is no thread, task, clock or socket in it. [`start`](crate::start()) puts those around; a simulator puts virtual
//! time around the same parts, and needs no runtime for it.

use std::sync::Arc;

use blockraft_blocks::BlockStore;
use blockraft_catalog::table::Table;
use blockraft_catalog::{Catalog, CatalogReader, Importer, SessionLimits};
use blockraft_driver::{Reconciled, reconcile};
use blockraft_exchange::{Effect, Exchange, Identity as ExchangeIdentity, Input, Status};
use blockraft_log::{Anchor, LogState, LogStore};
use blockraft_types::{ChainDigest, GroupId, HardState, LogIndex, LostTail, Membership, Position};
use tokio::sync::{mpsc, watch};
use tracing::{info, warn};

use crate::config::Identity;
use crate::gate::NodeGate;
use crate::inline_pending::InlinePending;
use crate::lost_tail;
use crate::machine::CatalogMachine;
use crate::payload::BlockPayload;
use crate::replay::{Replay, Spoken, Unstored};
use crate::start_error::StartError;
use crate::told::Told;

/// What a member is built on.
#[derive(Debug)]
pub struct Ground<'a> {
    /// Who it is.
    pub identity: Identity,
    /// Its group.
    pub group: GroupId,
    /// The members that the group was born with.
    pub genesis: &'a Membership,
    /// Bounds of the data plane.
    pub exchange: blockraft_exchange::Config,
    /// Its log; a group that it doesn't hold yet is begun.
    pub log: &'a mut dyn LogStore,
    /// Its blocks.
    pub blocks: &'a dyn BlockStore,
    /// Its catalog.
    pub table: Arc<dyn Table>,
    /// How much the catalogs of its group keep of clients' sessions: [`SessionLimits::FORMAT`], but in a test.
    pub sessions: SessionLimits,
}

/// The parts of a member, each with one owner.
///
/// The gate belongs into a [`Replica`](blockraft_driver::Replica), whose steps and the machine's applying may go side by
/// side. Whoever runs them performs `wishes` in order, and hands `tellings` to the gate in order.
#[derive(Debug)]
pub struct Assembly {
    /// What the log held.
    pub log: LogState,
    /// The configuration in force where the catalog stands, and the entry that brought it.
    pub membership: (LogIndex, Membership),
    /// Bytes of bodies that the log holds, by the last entry of each piece: a replica is [told](blockraft_driver::Replica::found).
    pub log_sizes: Vec<(LogIndex, u64)>,
    /// Puts a snapshot together beside the catalog's state.
    pub importer: Importer<Arc<dyn Table>>,
    /// Applies what is committed.
    pub machine: CatalogMachine,
    /// The data plane at the replica's gate.
    pub gate: NodeGate,
    /// Reads the catalog.
    pub rows: CatalogReader<Arc<dyn Table>>,
    /// Blocks that rode in entries and aren't stored yet.
    pub inline: Arc<InlinePending>,
    /// Answers the data plane's questions about rows, in order with what was applied.
    pub told: Arc<Told>,
    /// What the data plane is to hear of applying, and those answers.
    pub tellings: mpsc::UnboundedReceiver<Input<BlockPayload>>,
    /// What the data plane wants done.
    pub wishes: mpsc::UnboundedReceiver<Effect<BlockPayload>>,
    /// A picture of the data plane, a few ticks old.
    pub exchange_status: watch::Receiver<Status>,
    /// The blocks that the log names beside it. One that the store lacks is damage, and is repaired by name.
    pub named: Vec<Spoken>,
    /// Whether any block of the catalog may lack its copy: what rode in the entries that the log has lost was perhaps nowhere
    /// else.
    pub is_in_doubt: bool,
}

impl Assembly {
    /// Reads the log through, so that nothing that it names can be reclaimed, and checks that log and catalog belong
    /// together. Waits for nothing but the block store.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn build(ground: Ground<'_>) -> Result<Self, StartError> {
        let Ground { identity, group, genesis, exchange: config, log, blocks, table, sessions } = ground;
        let genesis_chain = ChainDigest::genesis(identity.cluster, group, genesis);
        let remains = load_or_begin(log, group, genesis_chain)?;
        let mut catalog = Catalog::open(table, group, genesis_chain).map_err(StartError::Catalog)?;
        catalog.limit_sessions(sessions);
        let rows = catalog.reader();
        let applied = catalog.state().position.index;
        let anchor = Anchor { position: catalog.state().position, chain: catalog.state().chain };
        lost_tail::examine(identity.node, &remains, &catalog, genesis)?;
        // What rode in entries that a reset drops may be nowhere else.
        let mut rescued = Vec::new();
        if let Some(LostTail { term, index }) = remains.lost_tail {
            warn!(last = %remains.last.position, lost = index.0, term = term.0, "recovering_lost_tail");
            let store = Unstored { reader: log.reader(), group, blocks };
            rescued = store.inlined(&remains, applied).await.map_err(|source| StartError::ReadLog { group, source })?;
        }
        // A log that ends before what was applied, and doesn't know why, is refused when consensus starts.
        let may_be_behind = catalog.is_installed() || remains.lost_tail.is_some();
        if may_be_behind && reconcile(log, group, anchor).map_err(StartError::Reconcile)? == Reconciled::Reset {
            info!(applied = %anchor.position, "log_begins_after_catalog");
        } else {
            rescued.clear();
        }
        let state = load_or_begin(log, group, genesis_chain)?;
        let importer = catalog.importer();

        let inline = Arc::new(InlinePending::new(usize::try_from(config.inline_bytes_max).unwrap_or(usize::MAX)));
        let Identity { node, incarnation, boot, .. } = identity;
        let mut exchange =
            Exchange::new(ExchangeIdentity { node, incarnation, boot }, config).map_err(StartError::ExchangeConfig)?;
        let membership = catalog.membership().cloned().unwrap_or_else(|| (LogIndex::ZERO, genesis.clone()));
        if membership.1.is_removed(node) {
            return Err(StartError::Removed { node, index: membership.0 });
        }
        let in_force = state.memberships.last().map_or(&membership.1, |(_, newest)| newest);
        exchange.step(Input::Membership { membership: in_force.clone() });
        let replay =
            Replay { exchange: &mut exchange, inline: &inline, log: Unstored { reader: log.reader(), group, blocks } };
        let found =
            replay.run(&state, (applied, rescued)).await.map_err(|source| StartError::ReadLog { group, source })?;

        let (wishes_in, wishes) = mpsc::unbounded_channel();
        let (told, tellings) = Told::new();
        let told = Arc::new(told);
        let (status_in, exchange_status) = watch::channel(exchange.status());
        let machine = CatalogMachine::new(catalog, Arc::clone(&inline), Arc::clone(&told));
        let gate = NodeGate::new(exchange, applied, Arc::clone(&inline), wishes_in, status_in);
        Ok(Self {
            log: state,
            membership,
            importer,
            machine,
            gate,
            rows,
            inline,
            told,
            tellings,
            wishes,
            exchange_status,
            log_sizes: found.sizes,
            named: found.beside,
            is_in_doubt: remains.lost_tail.is_some(),
        })
    }
}

fn load_or_begin(log: &mut dyn LogStore, group: GroupId, genesis: ChainDigest) -> Result<LogState, StartError> {
    let beginning = Anchor { position: Position::ZERO, chain: genesis };
    let state = log.load(group).map_err(|source| StartError::LoadLog { group, source })?;
    let Some(state) = state else {
        log.create_group(group, beginning).map_err(|source| StartError::CreateLog { group, source })?;
        return Ok(LogState::empty(HardState::default(), beginning));
    };
    if state.anchor.position == Position::ZERO && state.anchor != beginning {
        return Err(StartError::ForeignLog { found: state.anchor.chain, expected: genesis });
    }
    Ok(state)
}
