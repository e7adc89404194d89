//! Panics, wherever they happen, told to whoever runs the node.
//!
//! A panic is a bug of ours, and what panicked is gone: a thread that others wait for, or a task whose answer never comes.
//! A node that went on without it would look alive and do nothing, so the first panic ends the process.

use std::panic;
use std::sync::{Mutex, PoisonError};
use std::thread;

use tokio::sync::oneshot;

/// Resolves with the thread and the place of the first panic of this process from now on. The usual message still goes to
/// standard error.
pub(crate) fn first() -> oneshot::Receiver<String> {
    let (teller, first) = oneshot::channel();
    let teller = Mutex::new(Some(teller));
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        usual(panic);
        let Some(teller) = teller.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        let thread = thread::current();
        let place = panic.location().map_or_else(String::new, |place| format!(" at {place}"));
        // A node that has stopped already isn't waiting any more.
        let _ = teller.send(format!("the thread {} panicked{place}", thread.name().unwrap_or("without a name")));
    }));
    first
}

#[cfg(test)]
mod tests;
