//! Frames on a byte stream: a length of four bytes, then the frame. For transports over TCP, Unix sockets or pipes.

use core::future::poll_fn;
use core::pin::pin;
use core::task::Poll;
use std::io;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::connections::Connection;
use crate::limits::FRAME_BYTES_MAX;

/// Reads the next frame. Not cancel-safe: a dropped call may have read a part of it.
///
/// # Errors
///
/// [`io::ErrorKind::InvalidData`] for a frame over `bytes_max`, before anything is allocated for it; and the stream's.
pub async fn read_frame(reader: &mut (impl AsyncRead + Unpin), bytes_max: usize) -> io::Result<Bytes> {
    let bytes = reader.read_u32().await? as usize;
    if bytes_max < bytes {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut frame = vec![0; bytes];
    reader.read_exact(&mut frame).await?;
    Ok(frame.into())
}

/// Writes a frame. Not cancel-safe: a dropped call may have written a part of it.
///
/// # Errors
///
/// [`io::ErrorKind::InvalidInput`] for a frame of 4 GiB or more, and the stream's.
pub async fn write_frame(writer: &mut (impl AsyncWrite + Unpin), frame: &[u8]) -> io::Result<()> {
    let bytes = u32::try_from(frame.len()).map_err(|_| io::ErrorKind::InvalidInput)?.to_be_bytes();
    // In one piece if it is short: TCP would hold back a second small packet until the first is acknowledged.
    if frame.len() <= COPIED_BYTES_MAX {
        writer.write_all(&[&bytes, frame].concat()).await?;
    } else {
        writer.write_all(&bytes).await?;
        writer.write_all(frame).await?;
    }
    writer.flush().await
}

/// Carries frames both ways between a stream and a connection, until one of the two ends.
///
/// # Errors
///
/// The stream's; none when the connection was replaced, forgotten or closed.
pub async fn carry_frames<R>(
    reader: &mut (impl AsyncRead + Unpin),
    writer: &mut (impl AsyncWrite + Unpin),
    connection: &Connection<R>,
) -> io::Result<()> {
    let incoming = async {
        while connection.deliver(read_frame(reader, FRAME_BYTES_MAX).await?).await.is_ok() {}
        Ok(())
    };
    let outgoing = async {
        while let Some(frame) = connection.next_frame().await {
            write_frame(writer, &frame).await?;
        }
        Ok(())
    };
    let (mut incoming, mut outgoing, mut ended) = (pin!(incoming), pin!(outgoing), pin!(connection.ended()));
    poll_fn(|context| {
        if ended.as_mut().poll(context).is_ready() {
            return Poll::Ready(Ok(()));
        }
        match incoming.as_mut().poll(context) {
            Poll::Ready(end) => Poll::Ready(end),
            Poll::Pending => outgoing.as_mut().poll(context),
        }
    })
    .await
}

/// Frames up to here are copied behind their length rather than written after it.
const COPIED_BYTES_MAX: usize = 16 << 10;
