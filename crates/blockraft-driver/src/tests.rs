//! Two harnesses: whole replicas without a shell, in virtual time, and whole drivers over the in-process network.

mod bodies;
mod campaign;
mod clock;
pub(crate) mod cluster;
mod contradictions;
mod fates;
mod held_appends;
mod ranges;
mod restoring;

mod shell;
mod steps;
mod stopping;
mod trio;
