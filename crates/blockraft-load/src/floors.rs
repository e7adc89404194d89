//! What the machine itself can do, measured in the same run: synced writes, hashing, and the transport without a cluster.

use std::fs::File;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use blockraft_blocks::{HashCode, Multihash};
use blockraft_transport::{Bulk, Transport};
use blockraft_transport_quic::{AdmitAll, Authority, QuicConfig, QuicLimits, QuicTransport, ResetKey, Subject};
use blockraft_types::{BootNonce, ClusterId, Incarnation, NodeId};
use bytes::Bytes;

use crate::report::Event;

/// Measures each floor for `time` and tells it. Files go to `folder` and are removed.
///
/// # Errors
/// The folder can't be written to, or loopback can't be used.
pub async fn run(folder: &Path, time: Duration) -> Result<()> {
    let folder = folder.to_owned();
    tokio::task::spawn_blocking(move || -> Result<()> {
        for (name, bytes) in [("1 KiB", 1 << 10), ("256 KiB", 256 << 10)] {
            let writes = synced_writes(&folder, bytes, time)?;
            measured(&format!("sequential synced writes of {name}"), writes, "writes/s");
        }
        let hashed = hashing(time);
        measured("sha2-256, one core", hashed / 1e6, "MB/s");
        Ok(())
    })
    .await??;
    measured("QUIC bulk of 256 KiB over loopback", quic_bulk(time).await? / 1e6, "MB/s");
    Ok(())
}

fn measured(name: &str, value: f64, unit: &str) {
    Event::Measured { name: name.to_owned(), value, unit: unit.to_owned() }.tell();
}

/// Appends and syncs, one after the other, as a store with a single client would.
fn synced_writes(folder: &Path, bytes: usize, time: Duration) -> Result<f64> {
    let path = folder.join("floor");
    let mut file = File::create(&path).with_context(|| format!("can't create {}", path.display()))?;
    let content = vec![0xa5; bytes];
    let begun = Instant::now();
    let mut writes = 0_u64;
    while begun.elapsed() < time {
        file.write_all(&content)?;
        file.sync_data()?;
        writes += 1;
    }
    let rate = writes as f64 / begun.elapsed().as_secs_f64();
    std::fs::remove_file(&path)?;
    Ok(rate)
}

/// Bytes hashed in a second.
fn hashing(time: Duration) -> f64 {
    let content = vec![0x5a; 256 << 10];
    let begun = Instant::now();
    let mut bytes = 0_u64;
    while begun.elapsed() < time {
        std::hint::black_box(Multihash::of(HashCode::Sha2_256, std::hint::black_box(&content)));
        bytes += content.len() as u64;
    }
    bytes as f64 / begun.elapsed().as_secs_f64()
}

/// Bytes that cross from one transport to another in a second, and arrive.
async fn quic_bulk(time: Duration) -> Result<f64> {
    let cluster = ClusterId::from_bytes([7; 16]);
    let authority = Authority::generate(cluster)?;
    let source = Arc::new(bind(&authority, cluster, NodeId(1))?);
    let target = bind(&authority, cluster, NodeId(2))?;
    source.set_peer(NodeId(2), Some(target.local_address().to_string().parse()?));
    target.set_peer(NodeId(1), Some(source.local_address().to_string().parse()?));
    let body = Bytes::from(vec![0x3c; 256 << 10]);
    let senders: Vec<_> = (0..QUIC_SENDERS)
        .map(|_| {
            let (source, body) = (Arc::clone(&source), body.clone());
            tokio::spawn(async move {
                loop {
                    let bulk = Bulk { header: Bytes::from_static(b"floor"), body: body.clone() };
                    // Until both ends know each other there is nobody to send to.
                    if source.bulk(NodeId(2), bulk).await.is_err() {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                }
            })
        })
        .collect();
    let receive = async || target.receive_bulk().await.map(|(_, bulk)| bulk.body.len()).context("the transport closed");
    let first = tokio::time::timeout(CONNECT_TIME_MAX, receive()).await.context("the two ends don't connect")?;
    first?;
    let begun = Instant::now();
    let mut bytes = 0;
    while begun.elapsed() < time {
        bytes += receive().await?;
    }
    let rate = bytes as f64 / begun.elapsed().as_secs_f64();
    for sender in senders {
        sender.abort();
    }
    source.close().await;
    target.close().await;
    Ok(rate)
}

fn bind(authority: &Authority, cluster: ClusterId, node: NodeId) -> Result<QuicTransport> {
    let incarnation = Incarnation::from_bytes([node.0 as u8; 16]);
    let (transport, _clients) = QuicTransport::bind(QuicConfig {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        credentials: authority.issue(&Subject::Node { cluster, node, incarnation })?,
        cluster,
        node,
        incarnation,
        boot: BootNonce(node.0),
        reset_key: ResetKey::from_bytes([node.0 as u8; 64]),
        wire_versions: 1..=1,
        policy: Arc::new(AdmitAll),
        limits: QuicLimits::default(),
    })?;
    Ok(transport)
}

/// Transfers under way at once.
const QUIC_SENDERS: usize = 8;

const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);
