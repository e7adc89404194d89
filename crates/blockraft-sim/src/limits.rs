//! What a run is kept from: nothing as a rule, more and more while a failure is made smaller.

use core::fmt;

use crate::fault::Faults;

/// Bounds that a run keeps to, whatever its seed draws.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Limits {
    /// Nodes at most.
    pub nodes: Option<usize>,
    /// Clients at most.
    pub clients: Option<usize>,
    /// How long faults last, in microseconds.
    pub trouble: Option<u64>,
    /// Faults that there aren't.
    pub without: Faults,
}

impl fmt::Display for Limits {
    /// As they stand on the command line, each with a space before it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { nodes, clients, trouble, without } = self;
        if let Some(nodes) = nodes {
            write!(f, " --nodes {nodes}")?;
        }
        if let Some(clients) = clients {
            write!(f, " --clients {clients}")?;
        }
        if let Some(trouble) = trouble {
            write!(f, " --trouble-ms {}", trouble / 1_000)?;
        }
        without.iter().try_for_each(|fault| write!(f, " --without {fault}"))
    }
}
