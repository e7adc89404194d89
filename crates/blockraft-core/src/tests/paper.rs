//! A test for each claim of the Raft paper.
