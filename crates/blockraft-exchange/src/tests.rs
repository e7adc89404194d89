//! Each rule's interleaving as a script, and a randomised world in which all of them meet.

mod simulation;
mod world;
