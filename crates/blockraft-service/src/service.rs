//! The service: requests in, answers out.

use std::sync::Arc;
use std::time::Duration;

use blockraft_node::Node;
use blockraft_transport_quic::{ClientListener, ClientName, ClientRequest};
use blockraft_wire::client::{GiveUpReason, Refusal, Request, Response};
use blockraft_wire::frame::DecodeError;
use bytes::Bytes;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tracing::{debug, error};

use crate::answer_room::{AnswerRoom, Share};
use crate::operations;
use crate::served::{About, Served};

/// Serves clients of one node.
#[derive(Clone, Debug)]
pub struct Service {
    served: Served,
    requests: Arc<Semaphore>,
    room: Arc<AnswerRoom>,
}

/// An answer, as the frame's two parts. It holds room for its blocks among the node's answers until it is dropped.
#[derive(Debug)]
pub struct Answering {
    /// The first part; at most 64 KiB.
    pub head: Bytes,
    /// The blocks.
    pub tail: Bytes,
    _share: Share,
}

impl Service {
    /// A service over `node`.
    #[must_use]
    pub fn new(node: Node, about: About) -> Self {
        let served = Served { node, about: Arc::new(about) };
        let requests = Arc::new(Semaphore::new(REQUESTS_MAX));
        Self { served, requests, room: Arc::new(AnswerRoom::new()) }
    }

    /// Serves until the listener is closed, which closing the node's transport does. Requests under way are finished by
    /// tasks of their own.
    pub async fn run(self, listener: ClientListener) {
        while let Some(ClientRequest { client, header, body, responder }) = listener.accept().await {
            let Ok(place) = Arc::clone(&self.requests).try_acquire_owned() else {
                responder.refuse();
                continue;
            };
            let service = self.clone();
            tokio::spawn(async move {
                let Answering { head, tail, _share } = service.answer(&client, header, body).await;
                if let Err(error) = responder.respond(head, tail).await {
                    debug!(%client, error = &error as &dyn std::error::Error, "answer_not_sent");
                }
                drop(place);
            });
        }
    }

    /// Takes no further requests, which clients put elsewhere then, and waits until those that were taken are answered, for
    /// so long at most.
    pub async fn finish(&self, patience: Duration) {
        let all = u32::try_from(REQUESTS_MAX).unwrap_or(u32::MAX);
        let _answered_or_late = timeout(patience, self.requests.acquire_many(all)).await;
        self.requests.close();
    }

    /// Answers one request of a client. Total on any bytes.
    ///
    /// Waits a bounded time for room while answers hold too many bytes of blocks.
    pub async fn answer(&self, client: &ClientName, head: Bytes, tail: Bytes) -> Answering {
        let mut share = self.room.share(client);
        let response = match Request::decode_parts(head, tail) {
            Ok(request) => operations::perform(&self.served, client, &mut share, request).await,
            Err(DecodeError::Version { supported, .. }) => refused(GiveUpReason::Version { supported }),
            Err(error) => {
                debug!(error = &error as &dyn std::error::Error, "refused_request");
                refused(GiveUpReason::Malformed)
            }
        };
        let (head, tail) = match response.encode() {
            Ok(frame) => frame.into_parts(),
            Err(error) => {
                // Answers are built within the wire's limits.
                error!(error = &error as &dyn std::error::Error, "unencodable_answer");
                (Bytes::new(), Bytes::new())
            }
        };
        Answering { head, tail, _share: share }
    }
}

const fn refused(reason: GiveUpReason) -> Response {
    Response::Refused(Refusal::GiveUp { reason })
}

/// Requests under way at once; more are refused as busy.
const REQUESTS_MAX: usize = 4_096;
