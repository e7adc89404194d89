//! The driver of a node: the catalog as its state machine, the data plane at its gate.

use blockraft_driver::DriverHandle;

use crate::gate::NodeGate;
use crate::machine::CatalogMachine;

/// The handle of this node's driver.
pub(crate) type Driver = DriverHandle<CatalogMachine, NodeGate>;
