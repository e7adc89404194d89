//! A transport of one's own: plain TCP, for teaching and for loopback alone, because it believes every Hello.
//!
//! A pair has one TCP connection for frames (lane `C`), and one for each transfer (lane `B`), so that bulk delays nothing.
#![expect(clippy::disallowed_methods, reason = "an adapter uses sockets, clocks and tasks")]

use std::{io, io::Error, net::SocketAddr, sync::Arc, sync::Weak, time::Duration};

use blockraft_transport::connections::{Connection, ConnectionLimits, Connections};
use blockraft_transport::stream::{carry_frames, read_frame, write_frame};
use blockraft_transport::{Bulk, BulkError, Incoming, Peer, PeerAddress, PeerStatus, SendError, Transport};
use blockraft_transport::{bulk_inbox::BulkInbox, limits::BULK_BODY_BYTES_MAX};
use blockraft_types::{BootNonce, Incarnation, NodeId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::{net::TcpListener, net::TcpStream, time::sleep, time::timeout};

/// Runs until it is closed.
#[derive(Debug)]
pub struct Tcp {
    this: Weak<Self>,
    me: Peer,
    address: SocketAddr,
    connections: Connections<SocketAddr>,
    bulks: BulkInbox,
}

impl Tcp {
    /// Listens on loopback.
    pub async fn start(me: Peer) -> io::Result<(Arc<Self>, PeerAddress)> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (address, bulks) = (listener.local_addr()?, BulkInbox::new(16 << 20));
        let connections = Connections::new(me.node, ConnectionLimits::default());
        let tcp = Arc::new_cyclic(|this| Self { this: this.clone(), me, address, connections, bulks });
        tokio::spawn(Arc::clone(&tcp).accept(listener));
        Ok((tcp, address.into()))
    }

    async fn accept(self: Arc<Self>, listener: TcpListener) {
        loop {
            tokio::select! {
                Ok((stream, _)) = listener.accept() => drop(tokio::spawn(Arc::clone(&self).serve(stream))),
                () = self.connections.closed() => return,
            }
        }
    }

    async fn keep_dialling(self: Arc<Self>, node: NodeId, address: PeerAddress) {
        while self.connections.address(node).as_ref() == Some(&address) {
            self.connections.disconnected(node).await;
            let _retried = self.dial(node, &address).await;
            sleep(Duration::from_millis(50)).await;
        }
    }

    async fn dial(&self, node: NodeId, address: &PeerAddress) -> io::Result<()> {
        let mut stream = TcpStream::connect(address.as_str()).await?;
        self.say_hello(&mut stream, b'C').await?;
        let (_, peer, bulk) = hear_hello(&mut stream).await?;
        let expected = (peer.node == node).then_some(peer).ok_or(Error::other("another node lives there"))?;
        carry(stream, self.connections.open(expected, self.me.node, bulk).map_err(Error::other)?).await
    }

    async fn serve(self: Arc<Self>, mut stream: TcpStream) -> io::Result<()> {
        let (lane, peer, bulk) = hear_hello(&mut stream).await?;
        if lane == b'B' {
            return self.take(stream, peer).await;
        }
        let connection = self.connections.open(peer, peer.node, bulk).map_err(Error::other)?;
        self.say_hello(&mut stream, b'C').await?;
        carry(stream, connection).await
    }

    /// The sender tells the size, hears that there is room, sends, and hears that all of it has arrived.
    async fn give(&self, to: SocketAddr, Bulk { header, body }: Bulk) -> io::Result<Option<()>> {
        let mut stream = TcpStream::connect(to).await?;
        self.say_hello(&mut stream, b'B').await?;
        stream.write_u32((header.len() + body.len()) as u32).await?;
        let Ok(_room) = stream.read_u8().await else { return Ok(None) };
        write_frame(&mut stream, &header).await?;
        write_frame(&mut stream, &body).await?;
        stream.read_u8().await.map(|_arrived| Some(()))
    }

    async fn take(&self, mut stream: TcpStream, peer: Peer) -> io::Result<()> {
        let bytes = (stream.read_u32().await? as usize).min(2 * BULK_BODY_BYTES_MAX);
        let room = timeout(Duration::from_secs(1), self.bulks.budget(peer).admit(bytes)).await?;
        stream.write_u8(1).await?;
        let (header, body) = (read_frame(&mut stream, bytes).await?, read_frame(&mut stream, bytes).await?);
        room.deliver(Bulk { header, body });
        stream.write_u8(1).await
    }

    async fn say_hello(&self, stream: &mut TcpStream, lane: u8) -> io::Result<()> {
        let Peer { node, incarnation, boot } = self.me;
        let (node, boot, port) = (node.0.to_be_bytes(), boot.0.to_be_bytes(), self.address.port().to_be_bytes());
        write_frame(stream, &[&[lane], &node[..], incarnation.as_bytes(), &boot, &port].concat()).await
    }
}

async fn hear_hello(stream: &mut TcpStream) -> io::Result<(u8, Peer, SocketAddr)> {
    let hello = read_frame(stream, 35).await?;
    let mut rest = &hello[..];
    let (lane, node) = (rest.read_u8().await?, NodeId(rest.read_u64().await?));
    let incarnation = Incarnation::from_bytes(rest.read_u128().await?.to_be_bytes());
    let (boot, bulk_port) = (BootNonce(rest.read_u64().await?), rest.read_u16().await?);
    Ok((lane, Peer { node, incarnation, boot }, SocketAddr::new(stream.peer_addr()?.ip(), bulk_port)))
}

async fn carry(mut stream: TcpStream, connection: Connection<SocketAddr>) -> io::Result<()> {
    let (mut reader, mut writer) = stream.split();
    carry_frames(&mut reader, &mut writer, &connection).await
}

#[async_trait::async_trait]
impl Transport for Tcp {
    fn send(&self, to: NodeId, frame: bytes::Bytes) -> Result<(), SendError> {
        self.connections.send(to, frame)
    }

    async fn bulk(&self, to: NodeId, transfer: Bulk) -> Result<(), BulkError> {
        let given = |address, transfer| async move {
            let given = self.give(address, transfer).await.map_err(|_| BulkError::Lost { peer: to })?;
            given.ok_or(BulkError::Refused { peer: to })
        };
        self.connections.carry_bulk(to, transfer, given).await
    }

    async fn receive(&self) -> Option<Incoming> {
        self.connections.receive().await
    }

    async fn receive_bulk(&self) -> Option<(Peer, Bulk)> {
        self.bulks.receive().await
    }

    fn set_peer(&self, node: NodeId, address: Option<PeerAddress>) {
        self.connections.set_address(node, address.clone());
        if let (Some(address), Some(this)) = (address, self.this.upgrade()) {
            tokio::spawn(this.keep_dialling(node, address));
        }
    }

    fn peers(&self) -> Vec<PeerStatus> {
        self.connections.peers().into_iter().map(|(status, _)| status).collect()
    }

    async fn close(&self) {
        self.connections.close();
        self.bulks.close();
    }
}
