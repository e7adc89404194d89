//! The thread that owns the state machine: applies what is committed, answers whoever waited for it.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{Builder, JoinHandle};

use blockraft_log::{Anchor, LogReader};
use blockraft_types::{Entry, Position};
use tracing::error;

use crate::effect::ApplyRange;
use crate::handle::{Applying, Shared};
use crate::inbox::Item;
use crate::state_machine::StateMachine;
use crate::stop::StopReason;

/// The loop's end of the apply thread.
#[derive(Debug)]
pub(crate) struct ApplyThread {
    jobs: Sender<Job>,
    thread: JoinHandle<()>,
}

/// How an apply thread ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// What waits is applied and flushed.
    Graceful,
    /// What waits is left to the next start.
    Abrupt,
}

enum Job {
    Apply(ApplyRange),
    Install(Anchor),
    Flush,
    End(Ending),
}

impl ApplyThread {
    pub(crate) fn start<SM: StateMachine, E: Send + 'static>(
        machine: SM,
        reader: Arc<dyn LogReader>,
        shared: Arc<Shared<SM::Output, E>>,
    ) -> io::Result<Self> {
        let (jobs, waiting) = mpsc::channel();
        let applier = Applier { machine, reader, shared };
        let thread = Builder::new().name("apply".into()).spawn(move || applier.run(&waiting))?;
        Ok(Self { jobs, thread })
    }

    /// Queues entries. A thread that has ended has told the loop why.
    pub(crate) fn apply(&self, range: ApplyRange) {
        let _ = self.jobs.send(Job::Apply(range));
    }

    pub(crate) fn install(&self, anchor: Anchor) {
        let _ = self.jobs.send(Job::Install(anchor));
    }

    pub(crate) fn flush(&self) {
        let _ = self.jobs.send(Job::Flush);
    }

    /// Waits until the thread has ended.
    pub(crate) fn end(self, ending: Ending) {
        let _ = self.jobs.send(Job::End(ending));
        // A panic in there was told by the applier's drop.
        let _ = self.thread.join();
    }
}

struct Applier<SM: StateMachine, E: Send + 'static> {
    machine: SM,
    reader: Arc<dyn LogReader>,
    shared: Arc<Shared<SM::Output, E>>,
}

impl<SM: StateMachine, E: Send + 'static> Applier<SM, E> {
    fn run(mut self, jobs: &Receiver<Job>) {
        let mut jobs_taken = Vec::new();
        while let Ok(first) = jobs.recv() {
            jobs_taken.extend(core::iter::once(first).chain(jobs.try_iter()));
            // Whoever stops abruptly doesn't wait for what is queued before.
            if jobs_taken.iter().any(|job| matches!(job, Job::End(Ending::Abrupt))) {
                return;
            }
            for job in jobs_taken.drain(..) {
                let done = match job {
                    Job::Apply(range) => self.apply(range),
                    Job::Install(anchor) => self.install(anchor),
                    Job::Flush => self.flush(),
                    Job::End(_) => {
                        if let Err(reason) = self.flush() {
                            self.fail(reason);
                        }
                        return;
                    }
                };
                if let Err(reason) = done {
                    return self.fail(reason);
                }
            }
        }
    }

    fn apply(&mut self, range: ApplyRange) -> Result<(), StopReason> {
        if let Some(entries) = range.entries {
            return self.apply_entries(&entries);
        }
        let mut next = range.first;
        while next <= range.last.index {
            let read = self.reader.entries(self.shared.group, next, range.last.index, READ_BYTES);
            let entries = read.map_err(|source| StopReason::ReadFailed { source: Arc::new(source) })?;
            let last = entries.last().expect("a log holds what is committed and not compacted").head.position.index;
            self.apply_entries(&entries)?;
            next = last.next();
        }
        Ok(())
    }

    fn apply_entries(&mut self, entries: &[Entry]) -> Result<(), StopReason> {
        let Some(last) = entries.last().map(|entry| entry.head.position.index) else { return Ok(()) };
        let applied = self.machine.apply(entries);
        let outputs = applied.map_err(|source| StopReason::ApplyFailed { source: Arc::new(source) })?;
        assert_eq!(outputs.len(), entries.len(), "a state machine gives one output for each entry");
        self.shared.applied.send_replace(Applying::Running(last));
        let leader = self.shared.role.borrow().leader;
        let positions = entries.iter().map(|entry| entry.head.position);
        let applied: Vec<(Position, SM::Output)> = positions.zip(outputs).collect();
        let settled = self.shared.proposals().resolve(applied, leader);
        for (promise, result) in settled {
            promise.keep(result);
        }
        self.tell(Item::Applied(last));
        Ok(())
    }

    fn install(&mut self, anchor: Anchor) -> Result<(), StopReason> {
        let installed = self.machine.install(anchor);
        installed.map_err(|source| StopReason::InstallFailed { source: Arc::new(source) })?;
        let skipped = self.shared.proposals().skip(anchor.position.index);
        for (promise, error) in skipped {
            promise.keep(Err(error));
        }
        self.shared.applied.send_replace(Applying::Running(anchor.position.index));
        self.tell(Item::Installed(anchor));
        Ok(())
    }

    fn flush(&mut self) -> Result<(), StopReason> {
        let flushed = self.machine.flush();
        let anchor = flushed.map_err(|source| StopReason::FlushFailed { source: Arc::new(source) })?;
        self.tell(Item::Flushed(anchor.position.index));
        Ok(())
    }

    fn fail(&self, reason: StopReason) {
        let (node, group) = (self.shared.node.0, self.shared.group.0);
        self.tell(Item::Failed(reason.clone()));
        error!(node, group, error = &reason as &dyn core::error::Error, "apply_failed");
    }

    /// A loop that has ended needs to hear nothing more.
    fn tell(&self, item: Item<SM::Output, E>) {
        let _ = self.shared.inbox.push(item);
    }
}

impl<SM: StateMachine, E: Send + 'static> Drop for Applier<SM, E> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.tell(Item::Failed(StopReason::Panicked { thread: "apply" }));
        }
    }
}

/// How much is read and applied at once.
const READ_BYTES: u64 = 4 << 20;
