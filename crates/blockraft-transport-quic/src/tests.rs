mod authentication;
mod clients;
mod conformance;
mod faults;
mod harness;
