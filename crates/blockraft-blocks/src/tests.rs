mod cid;
mod fault;
mod memory;
mod multihash;
mod suite;
