//! The member's only chance: a small generator inside its state, seeded by the caller.

/// SplitMix64 (Steele, Lea and Flood 2014): enough to keep election timeouts apart, and no secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Dice {
    state: u64,
}

impl Dice {
    pub(crate) const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// A number from `min` to `max`, both included. A range of one number draws nothing, so that an explorer that
    /// fixes the timeouts sees no state that differs only by chance.
    pub(crate) fn between(&mut self, min: u32, max: u32) -> u32 {
        assert!(min <= max, "the configuration was checked");
        if min == max {
            return min;
        }
        let width = u64::from(max - min) + 1;
        min + (self.next() % width) as u32
    }

    const fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
