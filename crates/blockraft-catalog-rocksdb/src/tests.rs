//! The claims of the table on disk, one file for each part.

mod crash;
mod place;
