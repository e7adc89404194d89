//! The claims of the catalog, one file for each part.

mod apply;
mod batch;
mod durability;
mod golden;
mod history;
mod model;
mod readers;
mod sessions;
mod snapshot;
mod suite;
