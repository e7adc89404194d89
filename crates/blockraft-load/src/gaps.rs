//! How long writes stood still: the intervals between two acknowledgements, over all clients and for each one.

use std::collections::BTreeMap;

/// A while without an acknowledgement, in nanoseconds of the run's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Whose; `None` when nobody at all had one.
    pub client: Option<u32>,
    /// The last acknowledgement before it.
    pub from_ns: u64,
    /// The first one after it.
    pub to_ns: u64,
}

/// Watches acknowledgements as they come and tells the gaps between them.
#[derive(Clone, Debug, Default)]
pub struct Gaps {
    report_ns_min: u64,
    last: Option<u64>,
    last_of: BTreeMap<u32, u64>,
}

impl Gaps {
    /// Tells gaps of at least `report_ns_min`.
    #[must_use]
    pub fn of_at_least(report_ns_min: u64) -> Self {
        Self { report_ns_min, ..Self::default() }
    }

    /// An acknowledgement reached `client`: the gaps that it ends.
    pub fn acknowledged(&mut self, client: u32, at_ns: u64) -> Vec<Gap> {
        let over_all = self.last.replace(at_ns);
        let of_client = self.last_of.insert(client, at_ns);
        [(None, over_all), (Some(client), of_client)]
            .into_iter()
            .filter_map(|(client, from)| Some(Gap { client, from_ns: from?, to_ns: at_ns }))
            .filter(|gap| self.report_ns_min <= gap.to_ns.saturating_sub(gap.from_ns))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Gap, Gaps};

    #[test]
    fn the_gap_over_all_is_shorter_than_a_clients_own() {
        let mut gaps = Gaps::of_at_least(50);
        assert_eq!(gaps.acknowledged(1, 0), []);
        assert_eq!(gaps.acknowledged(2, 60), [Gap { client: None, from_ns: 0, to_ns: 60 }]);
        assert_eq!(gaps.acknowledged(1, 90), [Gap { client: Some(1), from_ns: 0, to_ns: 90 }]);
        assert_eq!(gaps.acknowledged(1, 100), []);
    }
}
