//! The claims of the catalog, one file for each part.

mod apply;
mod batch;
mod dag;
mod durability;
mod golden;
mod history;
mod imports;
mod model;
mod model_dag;
mod readers;
mod sessions;
mod snapshot;
mod suite;
#[cfg(seeded_bugs)]
mod teeth;
