//! Each rule's interleaving as a script, and a randomised world in which all of them meet.

mod desk;
mod fetching;
mod pushing;
mod reclaiming;
mod reserving;
mod simulation;
mod snapshots;
mod world;
