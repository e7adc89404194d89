//! A member that can't go on says so, whatever else goes wrong meanwhile.

use core::fmt;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use blockraft_log::{LogReader, MemoryDisk, ReadError};
use blockraft_types::{Entry, GroupId, LogIndex};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::config::DriverConfig;
use crate::driver::Driver;
use crate::effect::RangeRead;
use crate::inbox::{Inbox, Item};
use crate::log_thread::{self, LogThread, ReadJob};
use crate::stop::StopReason;
use crate::tests::cluster::GROUP;
use crate::tests::shell::{alone, disk_with};
use crate::tests::trio::within;

/// Formats every error that it is told of, as a subscriber does that writes text.
struct Formatting;

impl Subscriber for Formatting {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn event(&self, event: &Event<'_>) {
        event.record(&mut Errors);
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

struct Errors;

impl Visit for Errors {
    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}

    fn record_error(&mut self, _: &Field, error: &(dyn core::error::Error + 'static)) {
        let _text = error.source().map(ToString::to_string);
    }
}

/// What a broken standard error does to whoever writes there.
#[derive(Debug)]
struct Untellable;

impl fmt::Display for Untellable {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("nobody reads this");
    }
}

impl core::error::Error for Untellable {}

#[tokio::test(flavor = "multi_thread")]
async fn a_driver_has_stopped_for_those_who_wait_although_tracing_it_panics() {
    tracing::subscriber::set_global_default(Formatting).unwrap();
    let log = LogThread::start(Box::new(disk_with(&MemoryDisk::new(), &[GROUP]))).unwrap();
    let handle = Driver::start(DriverConfig::default(), alone(GROUP, &log)).unwrap();
    handle.fail_gate(Arc::new(Untellable));
    let reason = within(handle.stopped()).await;
    assert!(matches!(reason, StopReason::GateFailed { .. }));
}

#[derive(Debug)]
struct PanickingReader;

impl LogReader for PanickingReader {
    fn entries(&self, _: GroupId, _: LogIndex, _: LogIndex, _: u64) -> Result<Vec<Entry>, ReadError> {
        panic!("a bug of the log's");
    }
}

#[test]
fn a_reader_of_the_log_that_panics_tells_whoever_asked() {
    let inbox = Arc::new(Inbox::<(), ()>::new(1, 1));
    let (jobs, waiting) = mpsc::channel();
    let request = RangeRead(1);
    let (first, last) = (LogIndex(1), LogIndex(2));
    let client = Arc::<Inbox<(), ()>>::clone(&inbox);
    jobs.send(ReadJob { group: GROUP, request, first, last, bytes_max: 1, client }).unwrap();
    assert!(thread::spawn(move || log_thread::read(&PanickingReader, &waiting)).join().is_err());
    let mut items = std::collections::VecDeque::new();
    inbox.take(&mut items, Instant::now() + Duration::from_secs(10));
    let failed = items.pop_front();
    assert!(matches!(failed, Some(Item::Failed(StopReason::Panicked { thread: "log-read" }))), "{failed:?}");
}
