//! The tasks that belong to one owner and end with it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::task::{AbortHandle, JoinSet};

#[derive(Debug, Default)]
pub(crate) struct Tasks {
    running: Mutex<Running>,
}

#[derive(Debug, Default)]
struct Running {
    tasks: JoinSet<()>,
    ended: bool,
}

impl Tasks {
    /// Starts a task; after [`end`](Self::end) it is dropped instead.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> Option<AbortHandle> {
        let mut running = self.lock();
        if running.ended {
            return None;
        }
        while running.tasks.try_join_next().is_some() {}
        Some(running.tasks.spawn(task))
    }

    /// Ends every task at its next await point, for good.
    pub(crate) fn end(&self) {
        let mut running = self.lock();
        running.ended = true;
        running.tasks.abort_all();
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
