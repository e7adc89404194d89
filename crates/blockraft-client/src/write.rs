//! Writing in the client's session: asked again until it is known what became of it.

use std::sync::Arc;

use blockraft_types::Turn;
use blockraft_wire::client::{Answer, GiveUpReason, Operation};
use tokio::time::timeout_at;

use crate::attempts::Attempts;
use crate::pool::{Answered, AskError, Effect, Pool};
use crate::session::Session;

impl Pool {
    /// Has so many commands carried out, once each. `operation` makes the question of the turn of the first one.
    ///
    /// If the session turns out to have expired before any of it was carried out, it is asked for in a new one.
    pub(crate) async fn write(
        self: &Arc<Self>,
        commands: usize,
        operation: impl Fn(Turn) -> Operation,
        attempts: &mut Attempts,
    ) -> Result<Answered, AskError> {
        loop {
            let session = self.session(attempts).await?;
            let begun = timeout_at(attempts.deadline(), session.begin(commands as u64)).await;
            let Ok(begun) = begun else {
                return Err(AskError::Unavailable(attempts.unavailable(&self.roster.slots())));
            };
            match self.ask(&operation(begun.turn()), Effect::Repeatable, attempts).await {
                // An earlier attempt that may have been carried out would have made it unknown.
                Err(AskError::Refused { reason: GiveUpReason::SessionExpired, .. }) => self.forget(&session).await,
                answered => return answered,
            }
        }
    }

    /// The session to write in, opened if there is none.
    async fn session(self: &Arc<Self>, attempts: &mut Attempts) -> Result<Arc<Session>, AskError> {
        let Ok(mut current) = timeout_at(attempts.deadline(), self.session.0.lock()).await else {
            return Err(AskError::Unavailable(attempts.unavailable(&self.roster.slots())));
        };
        if let Some(session) = &*current {
            return Ok(Arc::clone(session));
        }
        // Opened twice, one of them expires without having been used.
        match self.ask(&Operation::OpenSession, Effect::Read, attempts).await?.answer {
            Answer::SessionOpened { session } => {
                tracing::debug!(%session, "session_opened");
                let session = Arc::new(Session::new(session));
                *current = Some(Arc::clone(&session));
                Ok(session)
            }
            _ => unreachable!("the pool passes on answers of the operation's own kind only"),
        }
    }

    async fn forget(&self, expired: &Arc<Session>) {
        let mut current = self.session.0.lock().await;
        if current.as_ref().is_some_and(|session| Arc::ptr_eq(session, expired)) {
            tracing::info!("session_expired");
            *current = None;
        }
    }
}
