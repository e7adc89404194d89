//! The node's side of the client lane: requests come out, answers go back.

use core::fmt;
use core::time::Duration;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use blockraft_transport::limits::{BULK_BODY_BYTES_MAX, BULK_HEADER_BYTES_MAX};
use blockraft_types::ClusterId;
use bytes::Bytes;
use quinn::{RecvStream, SendStream, WriteError};
use thiserror::Error;
use tokio::sync::{Mutex as AsyncMutex, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::client::connection::StreamCode;
use crate::client::request_room::{ReadError, RequestRoom, Taken};
use crate::endpoint::{Purpose, widen};
use crate::frame::Preamble;
use crate::limits::QuicLimits;
use crate::peer::handshake;
use crate::refusal::Refusal;
use crate::subject::{ClientName, Subject};

/// Requests of all clients of this node. An empty one, which asks for a sign of life, is answered before it gets here.
#[derive(Debug)]
pub struct ClientListener {
    requests: AsyncMutex<mpsc::Receiver<ClientRequest>>,
    /// Never has a permit, and is closed with the transport.
    open: Arc<Semaphore>,
}

/// One request. Its bytes count against the node's room until the responder has answered or is dropped.
#[derive(Debug)]
pub struct ClientRequest {
    /// Who asks, as the certificate names it.
    pub client: ClientName,
    /// What is asked; at most 64 KiB.
    pub header: Bytes,
    /// The bytes that go with it; at most 64 MiB.
    pub body: Bytes,
    /// The way back.
    pub responder: Responder,
}

/// The way back to a client, for one answer.
pub struct Responder {
    stream: SendStream,
    answered: bool,
    answer_time_max: Duration,
    _room: Option<Taken>,
}

/// Why an answer didn't go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RespondError {
    /// The client has given up, or its connection ended.
    #[error("the client is gone")]
    Gone,
    /// The client didn't read it in time.
    #[error("the client reads too slowly")]
    Slow,
    /// Header or body are over the limits of the lane.
    #[error("an answer of {header_bytes} and {body_bytes} bytes is over the limits")]
    TooLarge {
        /// Size of the header.
        header_bytes: usize,
        /// Size of the body.
        body_bytes: usize,
    },
}

impl ClientListener {
    /// The next request; `None` once the transport is closed, which drops those that wait. Cancel-safe.
    pub async fn accept(&self) -> Option<ClientRequest> {
        let mut requests = self.requests.lock().await;
        tokio::select! {
            biased;
            _closed = self.open.acquire() => {
                requests.close();
                while requests.try_recv().is_ok() {}
                None
            }
            request = requests.recv() => request,
        }
    }
}

impl Responder {
    /// Answers, and resolves when the answer is on its way in QUIC's buffers, which bound it by the client's credit: within
    /// [`client_answer_time_max`](QuicLimits::client_answer_time_max).
    ///
    /// Cancellation: a dropped call tells the client that nothing is known of its request.
    ///
    /// # Errors
    ///
    /// [`RespondError`].
    pub async fn respond(mut self, header: Bytes, body: Bytes) -> Result<(), RespondError> {
        if BULK_HEADER_BYTES_MAX < header.len() || BULK_BODY_BYTES_MAX < body.len() {
            return Err(RespondError::TooLarge { header_bytes: header.len(), body_bytes: body.len() });
        }
        let written = async {
            self.stream.write_all(&Preamble::of(&header, &body).encode()).await?;
            self.stream.write_chunk(header).await?;
            self.stream.write_chunk(body).await
        };
        let written = timeout(self.answer_time_max, written).await.map_err(|_elapsed| RespondError::Slow)?;
        written.map_err(|_: WriteError| RespondError::Gone)?;
        self.answered = true;
        self.stream.finish().map_err(|_| RespondError::Gone)
    }

    /// Says that the node is too busy and has done nothing: the client may ask again, here or elsewhere.
    pub fn refuse(mut self) {
        self.answered = true;
        let _gone = self.stream.reset(StreamCode::Busy.code());
    }

    /// Resolves when the client has given up on this request.
    pub async fn cancelled(&self) {
        let _stopped = self.stream.stopped().await;
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        if !self.answered {
            let _gone = self.stream.reset(StreamCode::Unanswered.code());
        }
    }
}

impl fmt::Debug for Responder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Responder").finish_non_exhaustive()
    }
}

/// Who may connect as a client, and how much of their requests is in memory.
#[derive(Debug)]
pub(crate) struct Admissions {
    cluster: ClusterId,
    limits: QuicLimits,
    connections: Arc<Mutex<BTreeMap<IpAddr, usize>>>,
    room: Arc<RequestRoom>,
    requests: mpsc::Sender<ClientRequest>,
    open: Arc<Semaphore>,
}

impl Admissions {
    pub(crate) fn new(cluster: ClusterId, limits: &QuicLimits) -> (Self, ClientListener) {
        let (requests, receiver) = mpsc::channel(REQUESTS_QUEUED_MAX);
        let open = Arc::new(Semaphore::new(0));
        let admissions = Self {
            cluster,
            limits: *limits,
            connections: Arc::default(),
            room: Arc::new(RequestRoom::new(limits.client_request_bytes_max)),
            requests,
            open: Arc::clone(&open),
        };
        (admissions, ClientListener { requests: AsyncMutex::new(receiver), open })
    }

    /// Serves a client's connection to its end.
    pub(crate) async fn serve(&self, connection: &quinn::Connection) -> Result<(), Refusal> {
        let client = match handshake::subject(connection)? {
            Subject::Client { cluster, name } if cluster == self.cluster => name,
            Subject::Client { .. } | Subject::Node { .. } => return Err(Refusal::WrongRole),
        };
        let _place = self.place(connection.remote_address().ip()).ok_or(Refusal::TooMany)?;
        widen(connection, Purpose::Client);
        tracing::debug!(%client, remote = %connection.remote_address(), "client_connected");
        let mut serving = JoinSet::new();
        let accepting = async {
            while let Ok((send, receive)) = connection.accept_bi().await {
                let (requests, room) = (self.requests.clone(), Arc::clone(&self.room));
                let (client, limits) = (client.clone(), self.limits);
                serving.spawn(async move { serve_request(send, receive, client, &requests, &room, &limits).await });
                while serving.try_join_next().is_some() {}
            }
        };
        tokio::select! {
            () = accepting => {}
            _closed = self.open.acquire() => {}
        }
        Ok(())
    }

    pub(crate) fn close(&self) {
        self.open.close();
    }

    fn place(&self, address: IpAddr) -> Option<Place> {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        let total: usize = connections.values().sum();
        let of_address = connections.entry(address).or_default();
        let free =
            total < self.limits.client_connections_max && *of_address < self.limits.client_connections_per_address_max;
        if !free {
            return None;
        }
        *of_address += 1;
        Some(Place { connections: Arc::clone(&self.connections), address })
    }
}

/// One client connection's place among those that are allowed.
struct Place {
    connections: Arc<Mutex<BTreeMap<IpAddr, usize>>>,
    address: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(of_address) = connections.get_mut(&self.address) {
            *of_address -= 1;
            if *of_address == 0 {
                connections.remove(&self.address);
            }
        }
    }
}

async fn serve_request(
    mut send: SendStream,
    mut receive: RecvStream,
    client: ClientName,
    requests: &mpsc::Sender<ClientRequest>,
    room: &RequestRoom,
    limits: &QuicLimits,
) {
    let read = timeout(limits.client_request_time_max, read_request(&mut receive, &client, room)).await;
    let (header, body, room) = match read {
        Ok(Ok(read)) => read,
        failed => {
            // Nothing was done in any case; whoever was only too slow may ask again.
            let code =
                if matches!(failed, Ok(Err(ReadError::Slow))) { StreamCode::Busy } else { StreamCode::Malformed };
            let _gone = receive.stop(code.code());
            let _gone = send.reset(code.code());
            return;
        }
    };
    let answer_time_max = limits.client_answer_time_max;
    let responder = Responder { stream: send, answered: false, answer_time_max, _room: room };
    if header.is_empty() && body.is_empty() {
        // Nothing is asked but whether this node lives, and that mustn't depend on how busy it is.
        let _gone = responder.respond(Bytes::new(), Bytes::new()).await;
        return;
    }
    let request = ClientRequest { client, header, body, responder };
    if let Err(unsent) = requests.send(request).await {
        unsent.0.responder.refuse();
    }
}

/// Reads a request into room of its own. An empty one needs none.
async fn read_request(
    receive: &mut RecvStream,
    client: &ClientName,
    room: &RequestRoom,
) -> Result<(Bytes, Bytes, Option<Taken>), ReadError> {
    let preamble = Preamble::read(receive, BULK_HEADER_BYTES_MAX, BULK_BODY_BYTES_MAX).await?;
    if preamble.bytes() == 0 {
        return Ok((Bytes::new(), Bytes::new(), None));
    }
    let taken = room.take(client, preamble.bytes() as u64).await;
    let header = room.read(receive, preamble.header_bytes as usize).await?;
    let body = room.read(receive, preamble.body_bytes as usize).await?;
    Ok((header, body, Some(taken)))
}

/// Requests that were read and that nobody has accepted yet.
const REQUESTS_QUEUED_MAX: usize = 64;
