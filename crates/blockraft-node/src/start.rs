//! Putting a node together: every seam meets its implementation here, and nowhere else.

use std::sync::{Arc, Mutex};

use blockraft_catalog::Catalog;
use blockraft_driver::{Driver as DriverShell, DriverParts, LogThread, TransportOutbox};
use blockraft_exchange::{Exchange, Identity as ExchangeIdentity, Input, Named};
use blockraft_log::{Anchor, LogState, LogStore};
use blockraft_types::{ChainDigest, GroupId, HardState, LogIndex, Position};
use tokio::sync::{Semaphore, mpsc, watch};

use crate::config::{Identity, NodeConfig};
use crate::driver::Driver;
use crate::freshness::Freshness;
use crate::gate::NodeGate;
use crate::inbox::Inbox;
use crate::inline_pending::InlinePending;
use crate::machine::CatalogMachine;
use crate::node::{Node, Shared};
use crate::parts::Parts;
use crate::plane::Plane;
use crate::reader::{Reader, SCANS_MAX, confirm_rounds};
use crate::replay::{self, Replay};
use crate::requests::Requests;
use crate::start_error::StartError;
use crate::told::Told;
use crate::waiting::Waiting;
use crate::writer::{Writer, batch_commands, batch_limits};

/// Starts a node from its parts, on the current tokio runtime.
///
/// Reads the log through, so that nothing that it names can be reclaimed, and checks that the parts belong together and to
/// this identity. A log and a catalog without this group are begun with the genesis membership: format data directories
/// once, and refuse to start from missing ones, before you call this.
///
/// # Errors
/// See [`StartError`]. Nothing runs then; the parts are dropped.
///
/// # Panics
/// Outside of a tokio runtime with time enabled.
pub async fn start(config: NodeConfig, parts: Parts) -> Result<Node, StartError> {
    check_identity(&config)?;
    let NodeConfig { identity, group, genesis, seed, driver: driver_config, exchange, limits } = config;
    let Parts { mut log, transport, blocks, table } = parts;
    let genesis_chain = ChainDigest::genesis(identity.cluster, group, &genesis);

    let state = load_or_begin(log.as_mut(), group, genesis_chain)?;
    let catalog = Catalog::open(table, group, genesis_chain).map_err(StartError::Catalog)?;
    let rows = catalog.reader();
    let applied = catalog.state().position.index;

    let exchange_config = exchange.unwrap_or_else(|| {
        blockraft_exchange::Config::for_ticks_of(u32::try_from(driver_config.tick.as_millis()).unwrap_or(u32::MAX))
    });
    let inline = Arc::new(InlinePending::new(usize::try_from(exchange_config.inline_bytes_max).unwrap_or(usize::MAX)));
    let Identity { node, incarnation, boot, .. } = identity;
    let mut exchange = Exchange::new(ExchangeIdentity { node, incarnation, boot }, exchange_config)
        .map_err(StartError::ExchangeConfig)?;
    exchange.step(Input::Membership { membership: genesis.clone() });
    let reader = log.reader();
    let replay = Replay { exchange: &mut exchange, inline: &inline, blocks: blocks.as_ref(), reader, group };
    let named = replay.run(&state, applied).await.map_err(|source| StartError::ReadLog { group, source })?;

    let (wishes_in, wishes) = mpsc::unbounded_channel();
    let (told_in, mut told) = Told::new();
    let told_in = Arc::new(told_in);
    let (exchange_status_in, exchange_status) = watch::channel(exchange.status());
    let log = LogThread::start(log).map_err(StartError::LogThread)?;
    let driver: Driver = DriverShell::start(
        driver_config,
        DriverParts {
            node,
            group,
            membership: genesis,
            membership_index: LogIndex::ZERO,
            seed,
            log,
            outbox: Arc::new(TransportOutbox::new(Arc::clone(&transport))),
            state_machine: CatalogMachine::new(catalog, Arc::clone(&inline), Arc::clone(&told_in)),
            gate: NodeGate::new(exchange, applied, Arc::clone(&inline), wishes_in, exchange_status_in),
        },
    )
    .map_err(StartError::Driver)?;

    let waiting = Arc::new(Waiting::default());
    let (carrier, desk) = (Arc::clone(&transport), Arc::clone(&waiting));
    let requests = Requests::new(identity, group, driver.clone(), carrier, desk, limits.request_timeout);
    let (writer, commands) = Writer::new(limits, driver.clone(), Arc::clone(&waiting));
    let (rounds, askers) = mpsc::channel(READ_ASKERS_MAX);
    let election_timeout = driver_config.tick * driver_config.replica.core.options().election_ticks_min;
    let freshness = Arc::new(Freshness::new(election_timeout));
    let reader = Reader {
        limits,
        driver: driver.clone(),
        rows: rows.clone(),
        blocks: Arc::clone(&blocks),
        inline: Arc::clone(&inline),
        waiting: Arc::clone(&waiting),
        rounds,
        freshness,
        scans: Arc::new(Semaphore::new(SCANS_MAX)),
    };
    let plane = Plane {
        driver: driver.clone(),
        transport: Arc::clone(&transport),
        blocks: Arc::clone(&blocks),
        rows: rows.clone(),
        inline: Arc::clone(&inline),
        waiting: Arc::clone(&waiting),
        told: told_in,
    };
    let inbox =
        Inbox { group, driver: driver.clone(), transport: Arc::clone(&transport), waiting, requests: requests.clone() };

    let mut tasks = vec![
        tokio::spawn(plane.run(wishes)),
        tokio::spawn(inbox.clone().run()),
        tokio::spawn(batch_commands(commands, requests.clone(), batch_limits(&limits))),
        tokio::spawn(confirm_rounds(askers, requests)),
    ];
    tasks.extend((0..BULK_TASKS).map(|_| tokio::spawn(inbox.clone().run_bulk())));
    let teller = driver.clone();
    tasks.push(tokio::spawn(async move {
        while let Some(input) = told.recv().await {
            if teller.gate(input).is_err() {
                return;
            }
        }
    }));
    let mender = driver.clone();
    let store = Arc::clone(&blocks);
    tasks.push(tokio::spawn(async move {
        for Named { name, length } in replay::lost(store.as_ref(), named).await {
            if mender.gate(Input::Repair { name, length }).is_err() {
                return;
            }
        }
    }));

    let tasks = Mutex::new(tasks);
    let exchange = exchange_status;
    let shared = Shared { identity, driver, writer, reader, rows, transport, blocks, inline, exchange, tasks };
    Ok(Node { shared: Arc::new(shared) })
}

fn check_identity(config: &NodeConfig) -> Result<(), StartError> {
    let Identity { node, incarnation, .. } = config.identity;
    match config.genesis.incarnation(node) {
        None => Err(StartError::NotAMember { node }),
        Some(known) if known != incarnation => Err(StartError::OtherIncarnation { node }),
        Some(_) => Ok(()),
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

/// Tasks that read and verify bulk transfers.
const BULK_TASKS: usize = 4;

/// Reads that wait for a round; further ones wait for a place.
const READ_ASKERS_MAX: usize = 4_096;

#[cfg(test)]
mod tests;
