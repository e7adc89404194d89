//! One member, its connection, and what is known of its health.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use tokio::time::{Instant, sleep, timeout};

use crate::config::Member;
use crate::dial::{Dialer, Link, Pulse};
use crate::unavailable::Trouble;

type Dialing = Shared<BoxFuture<'static, Result<Arc<dyn Link>, Trouble>>>;

/// A member as one client sees it.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) member: Member,
    dialer: Arc<dyn Dialer>,
    state: Mutex<State>,
    /// When the last pulse was asked for and when it was known: many requests fall silent at once, and one knock serves
    /// them all.
    pulse: tokio::sync::Mutex<Option<(Instant, Instant, Pulse)>>,
}

#[derive(Debug, Default)]
struct State {
    /// The connection, or the dial that may become one.
    dialing: Option<Dialing>,
    /// Others are asked first until then.
    avoided_until: Option<Instant>,
    /// When it answered last.
    heard_at: Option<Instant>,
}

impl Slot {
    pub(crate) fn new(member: Member, dialer: Arc<dyn Dialer>) -> Self {
        Self { member, dialer, state: Mutex::default(), pulse: tokio::sync::Mutex::new(None) }
    }

    /// The connection, dialled if there is none. A dial goes on behind the back of a caller that has lost patience, so
    /// that a distant member is reached in the end.
    pub(crate) async fn link(&self, patience: Duration) -> Result<Arc<dyn Link>, Trouble> {
        let dialing = self.dialing();
        match timeout(patience, dialing).await {
            Ok(Ok(link)) => Ok(link),
            Ok(Err(trouble)) => {
                self.avoid();
                Err(trouble)
            }
            Err(_elapsed) => {
                self.avoid();
                Err(Trouble::Connecting)
            }
        }
    }

    /// Whether others should be asked first.
    pub(crate) fn is_avoided(&self) -> bool {
        self.state().avoided_until.is_some_and(|until| Instant::now() < until)
    }

    /// Lets others be asked first for a while.
    pub(crate) fn avoid(&self) {
        self.state().avoided_until = Some(Instant::now() + AVOIDED_FOR);
    }

    /// Takes note of an answer.
    pub(crate) fn answered(&self) {
        let mut state = self.state();
        state.avoided_until = None;
        state.heard_at = Some(Instant::now());
    }

    /// Makes sure that the member was there a moment ago, and asks it if it wasn't heard for `silence_min`. What is sent to
    /// a member that died unnoticed would be sent into the void, and nobody could say so afterwards.
    pub(crate) async fn prove(&self, link: &Arc<dyn Link>, silence_min: Duration) -> Result<(), Trouble> {
        if self.state().heard_at.is_some_and(|heard| heard.elapsed() < silence_min) {
            return Ok(());
        }
        let proven = tokio::select! {
            biased;
            proven = link.prove() => proven.is_ok(),
            () = self.until_dead(silence_min, KNOCK_PATIENCE) => false,
        };
        if !proven {
            self.forget(link);
            return Err(Trouble::NoAnswer);
        }
        self.answered();
        Ok(())
    }

    /// Drops the connection, unless it is another one by now, and lets others be asked first.
    pub(crate) fn forget(&self, link: &Arc<dyn Link>) {
        let mut state = self.state();
        let same = state
            .dialing
            .as_ref()
            .and_then(Shared::peek)
            .is_some_and(|dialed| matches!(dialed, Ok(current) if Arc::ptr_eq(current, link)));
        if same {
            state.dialing = None;
        }
        state.avoided_until = Some(Instant::now() + AVOIDED_FOR);
    }

    /// Resolves when the member is found dead: its port closed, or silent for `silence` after `wait`.
    pub(crate) async fn until_dead(&self, wait: Duration, silence: Duration) {
        sleep(wait).await;
        let mut silent_since = None;
        loop {
            match self.pulse().await {
                (_, Pulse::Gone) => return,
                (_, Pulse::Alive) => {
                    silent_since = None;
                    sleep(KNOCK_INTERVAL).await;
                }
                (begun, Pulse::Silent) => {
                    if silence <= silent_since.get_or_insert(begun).elapsed() {
                        return;
                    }
                    sleep(PULSE_FRESH_FOR).await;
                }
            }
        }
    }

    /// Closes the connection, if there is one.
    pub(crate) async fn close(&self) {
        let dialing = self.state().dialing.take();
        if let Some(Ok(link)) = dialing.as_ref().and_then(Shared::peek) {
            link.close().await;
        }
    }

    /// Whether the member lives, and when that question was put.
    async fn pulse(&self) -> (Instant, Pulse) {
        let mut last = self.pulse.lock().await;
        if let Some((begun, ended, pulse)) = *last
            && ended.elapsed() < PULSE_FRESH_FOR
        {
            return (begun, pulse);
        }
        let begun = Instant::now();
        let pulse = self.dialer.knock(&self.member, KNOCK_PATIENCE).await;
        *last = Some((begun, Instant::now(), pulse));
        (begun, pulse)
    }

    fn dialing(&self) -> Dialing {
        let mut state = self.state();
        if let Some(dialing) = &state.dialing {
            let usable = match dialing.peek() {
                None => true,
                Some(Ok(link)) => link.is_open(),
                Some(Err(_)) => false,
            };
            if usable {
                return dialing.clone();
            }
        }
        let (dialer, member) = (Arc::clone(&self.dialer), self.member.clone());
        let dialing = async move { dialer.dial(&member).await }.boxed().shared();
        tokio::spawn(dialing.clone());
        state.dialing = Some(dialing.clone());
        dialing
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long a member that failed is asked after all others.
const AVOIDED_FOR: Duration = Duration::from_secs(1);

/// How long a knock waits. With the silence before it, a member that doesn't answer is left after a quarter of a second.
pub(crate) const KNOCK_PATIENCE: Duration = Duration::from_millis(150);

/// How long a pulse answers for others' knocks.
const PULSE_FRESH_FOR: Duration = Duration::from_millis(50);

/// How often a member that lives and doesn't answer yet is knocked at.
const KNOCK_INTERVAL: Duration = Duration::from_millis(250);
