//! What the catalog tells the data plane, in the order in which it happened.
//!
//! Applying an entry and telling of it are one step, and so are reading rows and answering with them: an answer about
//! rows is as of everything that was told before it, and nothing later. Otherwise a block whose delete is applied but not
//! told would count as nobody's, and its bytes could go before the log lets go of it.

use std::sync::{Mutex, PoisonError};

use blockraft_blocks::Multihash;
use blockraft_catalog::CatalogReader;
use blockraft_catalog::table::Table;
use blockraft_exchange::Input;
use blockraft_exchange::ticket::CheckTicket;
use tokio::sync::mpsc;
use tracing::error;

use crate::payload::BlockPayload;

/// The telling end. One apply thread and whoever looks at rows share it.
#[derive(Debug)]
pub struct Told {
    // The lock is the order: whoever holds it looks and tells in one step.
    inputs: Mutex<mpsc::UnboundedSender<Input<BlockPayload>>>,
}

impl Told {
    /// Both ends. What waits in between is bounded by how far the apply thread may be ahead of the loop.
    pub(crate) fn new() -> (Self, mpsc::UnboundedReceiver<Input<BlockPayload>>) {
        let (inputs, told) = mpsc::unbounded_channel();
        (Self { inputs: Mutex::new(inputs) }, told)
    }

    /// Does `step`, which returns what is to be told of it, and tells that before anybody else looks.
    pub(crate) fn in_order<T>(&self, step: impl FnOnce() -> (T, Vec<Input<BlockPayload>>)) -> T {
        let inputs = self.inputs.lock().unwrap_or_else(PoisonError::into_inner);
        let (value, told) = step();
        for input in told {
            // The data plane is gone only when the node is.
            drop(inputs.send(input));
        }
        value
    }

    /// Answers the data plane's question which of `names` have no row, neither in the state nor in a snapshot beside it.
    pub fn check_rows<T: Table>(&self, rows: &CatalogReader<T>, ticket: CheckTicket, names: Vec<Multihash>) {
        self.in_order(|| {
            let absent = match rows.names_many(&names) {
                Ok(named) => {
                    let rowless = names.into_iter().zip(named).filter(|(_, is_named)| !is_named);
                    rowless.map(|(name, _)| name).collect()
                }
                Err(error) => {
                    // Nothing is called absent on the word of a table that can't be read.
                    error!(error = &error as &dyn std::error::Error, "catalog_unreadable");
                    Vec::new()
                }
            };
            ((), vec![Input::RowsChecked { ticket, absent }])
        });
    }
}
