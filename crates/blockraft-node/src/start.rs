//! Putting a node together: every seam meets its implementation here, and nowhere else.

use std::sync::{Arc, Mutex};

use blockraft_catalog::SessionLimits;
use blockraft_driver::state_machine::StateMachine;
use blockraft_driver::{Driver as DriverShell, DriverParts, LogThread, TransportOutbox};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;

use crate::addresses::keep_addresses;
use crate::assembly::{Assembly, Ground};
use crate::attendance::Attendance;
use crate::config::{Identity, NodeConfig, Origin};
use crate::debts::watch_debts;
use crate::driver::Driver;
use crate::freshness::Freshness;
use crate::import_watch::watch_imports;
use crate::inbox::Inbox;
use crate::introductions::{IntroducedOutbox, Introductions};
use crate::mender::Mender;
use crate::node::{Node, Shared};
use crate::parts::Parts;
use crate::plane::Plane;
use crate::reader::{Reader, SCANS_MAX, confirm_rounds};
use crate::recall::Recollection;
use crate::requests::Requests;
use crate::snapshot::{Exports, import_all};
use crate::start_error::StartError;
use crate::waiting::Waiting;
use crate::witness::Past;
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
    let NodeConfig { identity, group, genesis, seed, driver: driver_config, exchange, limits, origin: _, witness } =
        config;
    let Parts { mut log, transport, blocks, table } = parts;
    let exchange = exchange.unwrap_or_else(|| {
        blockraft_exchange::Config::for_ticks_of(u32::try_from(driver_config.tick.as_millis()).unwrap_or(u32::MAX))
    });
    let ground = Ground {
        identity,
        group,
        genesis: &genesis,
        exchange,
        log: log.as_mut(),
        blocks: blocks.as_ref(),
        table,
        sessions: SessionLimits::FORMAT,
    };
    let assembly = Assembly::build(ground).await?;
    let in_force = assembly.log.memberships.last().map_or(&assembly.membership.1, |(_, newest)| newest);
    let core = driver_config.replica.core.options();
    let others = in_force.members().map(|(node, _)| node).filter(|node| *node != identity.node).collect();
    let own = Past::of_log(&assembly.log);
    let introductions = Arc::new(Introductions {
        transport: Arc::clone(&transport),
        identity,
        group,
        recollection: Mutex::new(Recollection::new(identity.node, own, others)),
        witness: Mutex::new(witness),
    });
    for (node, address) in in_force.addresses.iter().filter(|(node, _)| **node != identity.node) {
        if let Ok(address) = address.parse() {
            transport.set_peer(*node, Some(address));
        }
    }
    let connected = introductions.ask_all(driver_config.tick * core.election_ticks_max).await?;

    let Assembly { machine, gate, rows, inline, told, tellings, wishes, exchange_status, named, .. } = assembly;
    let (membership_index, membership) = assembly.membership;
    let applied = StateMachine::applied(&machine).position.index;

    let log = LogThread::start(log).map_err(StartError::LogThread)?;
    let driver: Driver = DriverShell::start(
        driver_config,
        DriverParts {
            node: identity.node,
            group,
            membership,
            membership_index,
            log_sizes: assembly.log_sizes,
            seed,
            log,
            outbox: Arc::new(IntroducedOutbox {
                introductions: Arc::clone(&introductions),
                outbox: TransportOutbox::new(Arc::clone(&transport)),
            }),
            state_machine: machine,
            gate,
        },
    )
    .map_err(StartError::Driver)?;

    for node in connected {
        let _just_started = driver.peer_connected(node);
    }
    let waiting = Arc::new(Waiting::default());
    let (carrier, desk) = (Arc::clone(&transport), Arc::clone(&waiting));
    let requests = Requests::new(identity, group, driver.clone(), carrier, desk, limits.request_timeout);
    let (writer, commands) = Writer::new(limits, driver.clone(), Arc::clone(&waiting));
    let asking = requests.clone();
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
        started: Instant::now(),
        scans: Arc::new(Semaphore::new(SCANS_MAX)),
    };
    let (at_work, attendance) = Attendance::new();
    let (imports, import_jobs) = mpsc::unbounded_channel();
    let importing = import_all(assembly.importer, import_jobs, driver.clone(), at_work.clone());
    let plane = Plane {
        at_work: at_work.clone(),
        driver: driver.clone(),
        transport: Arc::clone(&transport),
        blocks: Arc::clone(&blocks),
        rows: rows.clone(),
        inline: Arc::clone(&inline),
        waiting: Arc::clone(&waiting),
        told,
        exports: Arc::new(Exports::new(at_work.clone(), rows.clone(), genesis)),
        imports,
    };
    let inbox = Inbox {
        group,
        driver: driver.clone(),
        transport: Arc::clone(&transport),
        waiting,
        requests: requests.clone(),
        memberships: driver.memberships(),
        introductions: Arc::clone(&introductions),
    };

    let mut tasks = vec![
        tokio::spawn(plane.run(wishes)),
        tokio::spawn(importing),
        tokio::spawn(inbox.clone().run()),
        tokio::spawn(batch_commands(commands, requests.clone(), batch_limits(&limits))),
        tokio::spawn(confirm_rounds(askers, requests)),
    ];
    tasks.extend((0..BULK_TASKS).map(|_| tokio::spawn(inbox.clone().run_bulk())));
    let teller = driver.clone();
    tasks.push(tokio::spawn(async move {
        let mut tellings = tellings;
        while let Some(input) = tellings.recv().await {
            if teller.gate(input).is_err() {
                return;
            }
        }
    }));
    let mender = Mender { driver: driver.clone(), blocks: Arc::clone(&blocks), rows: rows.clone(), applied };
    tasks.push(tokio::spawn(at_work.clone().at(mender.run(named, assembly.is_in_doubt))));

    let debts = watch_debts(driver.clone(), rows.clone(), exchange_status.clone());
    tasks.push(tokio::spawn(at_work.clone().at(debts)));
    let abandoned = watch_imports(driver.clone(), writer.clone(), rows.clone(), limits.import_lease);
    tasks.push(tokio::spawn(at_work.at(abandoned)));
    tasks.push(tokio::spawn(keep_addresses(identity.node, driver.memberships(), Arc::clone(&transport))));

    let tasks = Mutex::new(tasks);
    let (exchange, requests, request_timeout) = (exchange_status, asking, limits.request_timeout);
    let shared = Shared {
        identity,
        driver,
        requests,
        request_timeout,
        import_lease: limits.import_lease,
        writer,
        reader,
        rows,
        transport,
        blocks,
        inline,
        exchange,
        introductions,
        tasks,
        attendance,
    };
    Ok(Node { shared: Arc::new(shared) })
}

fn check_identity(config: &NodeConfig) -> Result<(), StartError> {
    let Identity { node, incarnation, .. } = config.identity;
    match config.genesis.incarnation(node) {
        None if config.origin == Origin::Joiner => Ok(()),
        None => Err(StartError::NotAMember { node }),
        Some(known) if known != incarnation => Err(StartError::OtherIncarnation { node }),
        Some(_) => Ok(()),
    }
}

/// Tasks that read and verify bulk transfers.
const BULK_TASKS: usize = 4;

/// Reads that wait for a round; further ones wait for a place.
const READ_ASKERS_MAX: usize = 4_096;

#[cfg(test)]
mod tests;
