//! The UDP socket, with buffers that hold a burst.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};

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
