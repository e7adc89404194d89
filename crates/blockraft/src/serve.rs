//! Running a node until it is told to stop.

use core::time::Duration;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, anyhow, bail};
use blockraft_blocks_segment::{Options as SegmentOptions, Recovered, SegmentStore};
use blockraft_catalog::table::Table;
use blockraft_catalog_rocksdb::{RocksTable, RocksTableOptions};
use blockraft_log::LogState;
use blockraft_log_rocksdb::{RocksLog, RocksLogConfig};
use blockraft_node::lost_tail::LostTailError;
use blockraft_node::{Identity, Node, NodeConfig, Origin, Parts, Standing, StartError, StopReason, lost_tail};
use blockraft_service::{About, Service};
use blockraft_transport::{PeerAddress, Transport};
use blockraft_transport_quic::{IdentityRefusal, QuicConfig, QuicLimits, QuicTransport};
use blockraft_types::{BootNonce, ClusterId, LogIndex, NodeId};
use rand::random;
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use crate::data_dir::DataDir;
use crate::init::{self, InitOptions, lone_data_dir};
use crate::members::KnownMembers;
use crate::settings::Settings;
use crate::witness_file;

/// What `serve` is to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServeOptions {
    /// The node's data directory.
    pub data_dir: PathBuf,
    /// What to do when there is no such directory.
    pub missing: WhenMissing,
    /// Its configuration file; without one, the data directory's own if it has one.
    pub config: Option<PathBuf>,
    /// Where it listens, instead of what the configuration says.
    pub listen: Option<SocketAddr>,
    /// The longest block that it takes from clients, instead of what the configuration says, in bytes.
    pub block_bytes_max: Option<u64>,
}

/// What to do when there is no data directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenMissing {
    /// Refuse to start: a member that lost its directory must not come back under its old id.
    Refuse,
    /// Form a cluster of one node in it. Only for a user who named no directory: a lone node has nobody to betray.
    FormLoneNode,
}

/// A node that has started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Serving {
    /// Its cluster.
    pub cluster: ClusterId,
    /// Its id.
    pub node: NodeId,
    /// Where it listens; the port is the real one if 0 was asked for.
    pub address: SocketAddr,
    /// The folder that clients are pointed at, if this node has one beside its data directory.
    pub client_dir: Option<PathBuf>,
}

/// This node was removed from its cluster, for ever: to start it again is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Removed {
    /// It has seen the entry itself.
    #[error("node {node} was removed from the cluster by entry {index}, for ever; its data directory can be deleted")]
    ByEntry {
        /// The node.
        node: NodeId,
        /// The newest configuration that it took part in.
        index: LogIndex,
    },
    /// It missed its removal, and was told of it.
    #[error("node {node} was removed from the cluster, as node {by} says, for ever; its data directory can be deleted")]
    AsPeerSays {
        /// The node.
        node: NodeId,
        /// Who says so.
        by: NodeId,
    },
}

/// Runs a node until SIGINT or SIGTERM, which hand leadership over first; calls `ready` once it listens. A second signal
/// ends it at once.
///
/// # Errors
///
/// The node can't start, or had to stop on its own; [`Removed`] if that was why.
pub async fn run(options: ServeOptions, ready: impl FnOnce(&Serving) + Send) -> Result<(), anyhow::Error> {
    let started = Instant::now();
    let path = find_or_form(&options)?;
    let directory = DataDir::open(&path)?;
    let settings = match &options.config {
        Some(file) => Settings::read(file)?,
        None => Settings::read_if_present(&directory.settings())?,
    };
    let settings = Settings {
        listen: options.listen.or(settings.listen),
        block_bytes_max: options.block_bytes_max.or(settings.block_bytes_max),
        ..settings
    };
    let mut interrupt = signal(SignalKind::interrupt()).context("listening for SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;

    let Assembled { node, service, desk, address, policy } = assemble(&directory, &settings, started).await?;
    let identity = &directory.identity;
    let client_dir = path.parent().map(|parent| parent.join("client")).filter(|dir| dir.is_dir());
    info!(node = identity.node.0, cluster = %identity.cluster, %address, "serving");
    ready(&Serving { cluster: identity.cluster, node: identity.node, address, client_dir });

    let serving = tokio::spawn(service);
    let keeping = tokio::spawn(witness_file::keep(node.clone(), directory.witness()));
    let following = tokio::spawn(follow_members(node.clone(), identity.node, Arc::clone(&policy)));
    let mut disowned: Option<anyhow::Error> = None;
    let told_to_stop = tokio::select! {
        Ok(Some(index)) = following => {
            disowned = Some(Removed::ByEntry { node: identity.node, index }.into());
            true
        }
        (by, why) = policy.disowned() => {
            let node = identity.node;
            disowned = Some(match why {
                IdentityRefusal::Removed => Removed::AsPeerSays { node, by }.into(),
                IdentityRefusal::OtherIncarnation | IdentityRefusal::Superseded => anyhow!(
                    "another process serves as node {node}, as node {by} says, from a copy of this data directory: replace \
                     the node by a new one, and serve neither of the two again"
                ),
            });
            true
        }
        _ = interrupt.recv() => true,
        _ = terminate.recv() => true,
        reason = node.stopped() => {
            report(&reason)?;
            false
        }
    };
    if told_to_stop {
        info!(node = identity.node.0, "stopping");
        let stop = async {
            // What this node was asked is answered before it goes; its clients have others to ask from here on.
            tokio::join!(desk.finish(LAST_ANSWERS_TIMEOUT), node.finish(LAST_ANSWERS_TIMEOUT));
            sleep(ANSWERS_LEAVE).await;
            timeout(STOP_TIMEOUT, node.shutdown()).await
        };
        tokio::select! {
            stopped = stop => match stopped {
                Ok(reason) => report(&reason)?,
                Err(_) => bail!("the node did not stop within {STOP_TIMEOUT:?} and is ended as it is"),
            },
            _ = interrupt.recv() => warn!("a second signal; ending at once"),
            _ = terminate.recv() => warn!("a second signal; ending at once"),
        }
    }
    serving.abort();
    keeping.abort();
    disowned.map_or(Ok(()), Err)
}

/// Whether a node couldn't start because its log lost its end and nobody could make that good: only forced recovery goes on
/// from there.
#[must_use]
pub fn is_irrecoverable(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| matches!(cause.downcast_ref(), Some(LostTailError::NoQuorum { .. })))
}

/// Lets the transport know whom the configurations name, and ends with the entry that removed this node. `None` when the
/// node stopped before.
async fn follow_members(node: Node, ourselves: NodeId, policy: Arc<KnownMembers>) -> Option<LogIndex> {
    let mut memberships = node.memberships();
    loop {
        let in_force = memberships.borrow_and_update().clone();
        policy.learn(&in_force);
        if in_force.standing == Standing::Committed && in_force.membership.is_removed(ourselves) {
            return Some(in_force.index);
        }
        memberships.changed().await.ok()?;
    }
}

/// A node and what goes with it.
struct Assembled<S> {
    node: Node,
    service: S,
    /// What the service runs on.
    desk: Service,
    address: SocketAddr,
    policy: Arc<KnownMembers>,
}

/// Puts a node together from the directory's parts.
async fn assemble(
    directory: &DataDir,
    settings: &Settings,
    started: Instant,
) -> Result<Assembled<impl Future<Output = ()> + Send + use<>>, anyhow::Error> {
    let file = &directory.identity;
    let boot = BootNonce(random());
    let identity = Identity { cluster: file.cluster, node: file.node, incarnation: file.incarnation, boot };
    let mut config = NodeConfig::new(identity, file.genesis());
    if file.joined.is_some() {
        config.origin = Origin::Joiner;
    }
    settings.apply(&mut config)?;
    config.witness = witness_file::read(&directory.witness());

    let table = RocksTable::open(&directory.catalog(), &RocksTableOptions::default()).context("opening the catalog")?;
    let table: Arc<dyn Table> = Arc::new(table);
    // Before RocksDB changes a file of a log that has lost its end: whoever must refuse leaves it as evidence.
    let may_go_on = |_, left: &LogState| lost_tail::judge(&config, Arc::clone(&table), left);
    let log =
        RocksLog::open_although(directory.log(), RocksLogConfig::default(), may_go_on).context("opening the log")?;
    let defaults = SegmentOptions::default();
    let reserve_bytes = settings.disk_reserve_bytes.unwrap_or(defaults.reserve_bytes);
    let blocks = SegmentStore::open_existing(directory.blocks(), SegmentOptions { reserve_bytes, ..defaults })
        .context("opening the block store")?;
    warn_of_damage(blocks.recovered());

    let expected = file.itself().context("the node is among its members")?.address;
    // Members and clients were told a port: to listen on any free one would be to listen where nobody looks.
    let listen = match settings.listen {
        Some(listen) if listen.port() == 0 => SocketAddr::new(listen.ip(), expected.port()),
        Some(listen) => listen,
        None => expected,
    };
    let is_where_expected =
        listen.port() == expected.port() && (listen.ip() == expected.ip() || listen.ip().is_unspecified());
    if !is_where_expected {
        // Behind a translated address that is as it should be; otherwise nobody finds this node.
        warn!(%listen, %expected, "listening_elsewhere_than_members_and_clients_were_told");
    }
    let policy = Arc::new(KnownMembers::new(file.genesis()));
    let (transport, clients) = QuicTransport::bind(QuicConfig {
        listen,
        credentials: directory.credentials.clone(),
        cluster: file.cluster,
        node: file.node,
        incarnation: file.incarnation,
        boot,
        reset_key: directory.reset_key.clone(),
        wire_versions: WIRE_VERSION..=WIRE_VERSION,
        policy: Arc::<KnownMembers>::clone(&policy),
        limits: QuicLimits::default(),
    })?;
    let address = transport.local_address();
    for member in file.members.iter().filter(|member| member.node != file.node) {
        let address: PeerAddress = member.address.to_string().parse().context("a member's address")?;
        transport.set_peer(member.node, Some(address));
    }

    let parts = Parts { log: Box::new(log), transport: Arc::new(transport), blocks: Arc::new(blocks), table };
    let node = match blockraft_node::start(config, parts).await {
        Err(StartError::Removed { node, index }) => bail!(Removed::ByEntry { node, index }),
        started => started.context("starting the node")?,
    };
    let addresses: BTreeMap<NodeId, SocketAddr> =
        file.members.iter().map(|member| (member.node, member.address)).collect();
    let about = About { release: env!("CARGO_PKG_VERSION").to_owned(), started, addresses };
    let desk = Service::new(node.clone(), about);
    let service = desk.clone().run(clients);
    Ok(Assembled { node, service, desk, address, policy })
}

/// Names what is damaged in the block store. Reads and the log have it repaired by other members; a lone node has none.
fn warn_of_damage(recovered: &Recovered) {
    let Recovered { damaged, gaps, lost_segments, .. } = recovered;
    for block in damaged.iter().take(DAMAGE_LINES_MAX) {
        warn!(block = %block.multihash, segment = block.segment, "block_damaged");
    }
    for gap in gaps.iter().take(DAMAGE_LINES_MAX) {
        warn!(segment = gap.segment, offset = gap.offset, bytes = gap.bytes, "segment_unreadable_in_part");
    }
    for segment in lost_segments.iter().take(DAMAGE_LINES_MAX) {
        warn!(segment, "segment_lost");
    }
    if !damaged.is_empty() || !gaps.is_empty() || !lost_segments.is_empty() {
        let (blocks, stretches, segments) = (damaged.len(), gaps.len(), lost_segments.len());
        warn!(blocks, stretches, segments, "block_store_damaged");
    }
}

fn find_or_form(options: &ServeOptions) -> Result<PathBuf, anyhow::Error> {
    let ServeOptions { data_dir, missing, listen, .. } = options;
    if DataDir::exists(data_dir) {
        return Ok(data_dir.clone());
    }
    let lone = lone_data_dir(data_dir);
    if *missing == WhenMissing::Refuse {
        // Opening it says what is missing, in the right words.
        return Ok(data_dir.clone());
    }
    if DataDir::exists(&lone) {
        let members = data_dir.join("node-2");
        if members.exists() {
            bail!("{} holds several members; name one with --data", data_dir.display());
        }
        return Ok(lone);
    }
    let address = free_port(listen.unwrap_or(LONE_ADDRESS))?;
    init::run(InitOptions { dir: data_dir.clone(), addresses: vec![address] })
        .with_context(|| format!("forming a cluster of one node in {}", data_dir.display()))?;
    info!(dir = %data_dir.display(), "formed_lone_node");
    Ok(lone)
}

/// The address itself, with a free port in place of port 0.
fn free_port(address: SocketAddr) -> Result<SocketAddr, anyhow::Error> {
    if address.port() != 0 {
        return Ok(address);
    }
    let socket = UdpSocket::bind(address).with_context(|| format!("finding a free port on {}", address.ip()))?;
    Ok(socket.local_addr()?)
}

fn report(reason: &StopReason) -> Result<(), anyhow::Error> {
    match reason {
        StopReason::Shutdown => Ok(()),
        reason => Err(anyhow::Error::new(reason.clone()).context("the node stopped on its own")),
    }
}

/// Where a lone node listens when nothing else is said.
const LONE_ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 4001);

/// So many lines name what is damaged, of each kind.
const DAMAGE_LINES_MAX: usize = 100;

/// The version of the messages above the transport.
const WIRE_VERSION: u16 = 1;

/// How long a node that is about to stop waits for the answers to what it was asked.
const LAST_ANSWERS_TIMEOUT: Duration = Duration::from_secs(1);

/// Answers that were given are in QUIC's buffers: so long they have to leave.
const ANSWERS_LEAVE: Duration = Duration::from_millis(50);

/// How long a stop may take before the process ends anyway; nothing that was acknowledged depends on it.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests;
