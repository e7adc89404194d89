//! The service: requests in, answers out.

use std::sync::Arc;

use blockraft_node::Node;
use blockraft_transport_quic::{ClientListener, ClientRequest};
use blockraft_wire::client::{GiveUpReason, Refusal, Request, Response};
use blockraft_wire::frame::DecodeError;
use bytes::Bytes;
use tokio::sync::Semaphore;
use tracing::{debug, error};

use crate::operations;
use crate::served::{About, Served};

/// Serves clients of one node.
#[derive(Clone, Debug)]
pub struct Service {
    served: Served,
    requests: Arc<Semaphore>,
}

impl Service {
    /// A service over `node`.
    #[must_use]
    pub fn new(node: Node, about: About) -> Self {
        Self { served: Served { node, about: Arc::new(about) }, requests: Arc::new(Semaphore::new(REQUESTS_MAX)) }
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
                let (head, tail) = service.answer(header, body).await;
                if let Err(error) = responder.respond(head, tail).await {
                    debug!(%client, error = &error as &dyn std::error::Error, "answer_not_sent");
                }
                drop(place);
            });
        }
    }

    /// Answers one request, as the frame's two parts. Total on any bytes.
    pub async fn answer(&self, head: Bytes, tail: Bytes) -> (Bytes, Bytes) {
        let response = match Request::decode_parts(head, tail) {
            Ok(request) => operations::perform(&self.served, request).await,
            Err(DecodeError::Version { supported, .. }) => refused(GiveUpReason::Version { supported }),
            Err(error) => {
                debug!(error = &error as &dyn std::error::Error, "refused_request");
                refused(GiveUpReason::Malformed)
            }
        };
        match response.encode() {
            Ok(frame) => frame.into_parts(),
            Err(error) => {
                // Answers are built within the wire's limits.
                error!(error = &error as &dyn std::error::Error, "unencodable_answer");
                (Bytes::new(), Bytes::new())
            }
        }
    }
}

const fn refused(reason: GiveUpReason) -> Response {
    Response::Refused(Refusal::GiveUp { reason })
}

/// Requests under way at once; more are refused as busy.
const REQUESTS_MAX: usize = 4_096;
