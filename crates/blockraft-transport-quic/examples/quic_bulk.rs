//! How fast bulk goes over loopback: one node sends blocks to another, both in this process.
//!
//! `cargo run --release -p blockraft-transport-quic --example quic_bulk -- [MiB] [KiB per block] [transfers at once]`
//! prints one line, and fails when the path didn't grow to large datagrams: a figure measured over small ones says
//! nothing.

use std::error::Error;
use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

use blockraft_transport::{Bulk, Incoming, Transport};
use blockraft_transport_quic::limits::MTU_BYTES_MAX;
use blockraft_transport_quic::{AdmitAll, Authority, QuicConfig, QuicLimits, QuicTransport, ResetKey, Subject};
use blockraft_types::{BootNonce, ClusterId, Incarnation, NodeId};
use bytes::Bytes;
use tokio::task::JoinSet;

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse::<usize>());
    let total_mib = numbers.next().transpose()?.unwrap_or(1_024);
    let block_kib = numbers.next().transpose()?.unwrap_or(256);
    let senders = numbers.next().transpose()?.unwrap_or(16);

    let authority = Authority::generate(CLUSTER)?;
    let (source, target) = (Arc::new(node(&authority, 1)?), Arc::new(node(&authority, 2)?));
    source.set_peer(NodeId(2), Some(target.local_address().into()));
    let Some(Incoming::Connected(_)) = source.receive().await else { return Err("no connection".into()) };
    let taking = Arc::clone(&target);
    let taker = tokio::spawn(async move { while taking.receive_bulk().await.is_some() {} });

    let body = Bytes::from(vec![0x5a; block_kib << 10]);
    // Warm-up: the path finds its datagram size.
    send(&source, &body, (16 << 10) / block_kib.max(1), senders).await;
    let begun = Instant::now();
    let blocks = (total_mib << 10) / block_kib.max(1);
    send(&source, &body, blocks, senders).await;
    let seconds = begun.elapsed().as_secs_f64();

    let mtu = source.peers().first().and_then(|status| status.path).map_or(0, |path| path.mtu_bytes);
    let mib = (blocks * block_kib) as f64 / 1_024.0;
    writeln!(
        std::io::stdout(),
        "QUIC bulk, {block_kib} KiB, {senders} at once: {:.0} MiB/s (datagrams of {mtu} bytes)",
        mib / seconds
    )?;
    target.close().await;
    taker.await?;
    if mtu < MTU_BYTES_MAX - 100 {
        return Err(format!("the path carries datagrams of {mtu} bytes only").into());
    }
    Ok(())
}

/// Sends `blocks` copies of `body`, up to `senders` of them at once.
async fn send(source: &Arc<QuicTransport>, body: &Bytes, blocks: usize, senders: usize) {
    let mut sending = JoinSet::new();
    for sender in 0..senders {
        let (source, body) = (Arc::clone(source), body.clone());
        let share = blocks / senders + usize::from(sender < blocks % senders);
        sending.spawn(async move {
            for _ in 0..share {
                let transfer = Bulk { header: Bytes::new(), body: body.clone() };
                source.bulk(NodeId(2), transfer).await.expect("loopback doesn't fail");
            }
        });
    }
    sending.join_all().await;
}

fn node(authority: &Authority, id: u64) -> Result<QuicTransport, Box<dyn Error>> {
    let (node, incarnation) = (NodeId(id), Incarnation::from_bytes([id as u8; 16]));
    let (transport, _clients) = QuicTransport::bind(QuicConfig {
        listen: ([127, 0, 0, 1], 0).into(),
        credentials: authority.issue(&Subject::Node { cluster: CLUSTER, node, incarnation })?,
        cluster: CLUSTER,
        node,
        incarnation,
        boot: BootNonce(id),
        reset_key: ResetKey::from_bytes([id as u8; 64]),
        wire_versions: 1..=1,
        policy: Arc::new(AdmitAll),
        limits: QuicLimits::default(),
    })?;
    Ok(transport)
}

const CLUSTER: ClusterId = ClusterId::from_bytes([0xbe; 16]);
