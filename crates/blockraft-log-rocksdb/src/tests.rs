//! The suite, golden bytes, damage and killed processes.

mod crash;
mod damage;
mod golden;
mod open;
mod scribe;
mod suite;
mod watermark;
mod write_failure;
