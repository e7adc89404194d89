//! The UDP socket, with buffers that hold a burst, and a word when its port is free again.

use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, Runtime, TokioRuntime, UdpPoller};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::watch;

/// A socket as quinn wants it. Connections, their tasks and the endpoint's share it, and it is closed when the last of them
/// is gone, which is later than quinn tells.
#[derive(Debug)]
pub(crate) struct SharedSocket {
    // Fields are dropped in their order: once the sender is gone, so is the socket.
    inner: Arc<dyn AsyncUdpSocket>,
    _open: watch::Sender<()>,
}

/// Tells when a [`SharedSocket`] was closed.
#[derive(Clone, Debug)]
pub(crate) struct PortReleased(watch::Receiver<()>);

impl SharedSocket {
    /// Takes `socket` into the tokio runtime that this is called in.
    pub(crate) fn new(socket: UdpSocket) -> io::Result<(Arc<Self>, PortReleased)> {
        let (open, released) = watch::channel(());
        let inner = TokioRuntime.wrap_udp_socket(socket)?;
        Ok((Arc::new(Self { inner, _open: open }), PortReleased(released)))
    }
}

impl PortReleased {
    /// Resolves when the socket is closed and its port free. Cancel-safe.
    pub(crate) async fn wait(mut self) {
        while self.0.changed().await.is_ok() {}
    }
}

impl AsyncUdpSocket for SharedSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(SharedPoller { inner: Arc::clone(&self.inner).create_io_poller(), _socket: self })
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.inner.try_send(transmit)
    }

    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        self.inner.poll_recv(context, buffers, meta)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.inner.max_transmit_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.inner.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.inner.may_fragment()
    }
}

/// A poller keeps the inner socket open too, so it goes before what tells of it.
#[derive(Debug)]
struct SharedPoller {
    inner: Pin<Box<dyn UdpPoller>>,
    _socket: Arc<SharedSocket>,
}

impl UdpPoller for SharedPoller {
    fn poll_writable(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.as_mut().poll_writable(context)
    }
}

/// Binds a socket and asks for large buffers. What the kernel grants is read back: a small receive buffer drops
/// datagrams under load, which looks like congestion and halves the speed.
pub(crate) fn bind(listen: SocketAddr, buffer_bytes: usize) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(listen), Type::DGRAM, Some(Protocol::UDP))?;
    if listen.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_recv_buffer_size(buffer_bytes)?;
    socket.set_send_buffer_size(buffer_bytes)?;
    let granted = socket.recv_buffer_size()?.min(socket.send_buffer_size()?);
    if granted < buffer_bytes {
        tracing::warn!(asked = buffer_bytes, granted, "small_socket_buffers");
    }
    socket.bind(&listen.into())?;
    Ok(socket.into())
}
