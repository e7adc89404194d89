//! The suite, golden bytes, damage and killed processes.

mod suite;
