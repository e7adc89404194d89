//! The mistakes that a test build can be told to make, so that the tests prove that they would notice.

/// A known way to get Raft wrong. Only builds with `--cfg seeded_bugs` can choose one; everywhere else the question
/// whether one was chosen is the constant `false`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(not(seeded_bugs), expect(unreachable_pub, reason = "public only in builds that prove the tests' teeth"))]
pub enum Mistake {
    /// A vote leaves before it is durable.
    VoteBeforePersist,
}
