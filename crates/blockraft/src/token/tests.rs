use core::time::Duration;

use blockraft_transport_quic::Authority;
use blockraft_transport_quic::pki::files::write_secret;
use blockraft_types::NodeId;

use super::{JoinError, Token};
use crate::birth::Birth;
use crate::data_dir::{DataDir, DataDirError};
use crate::init::{self, InitOptions};

/// A cluster of one that was just formed, and a token of it for node 2.
fn invited(dir: &std::path::Path, lifetime: Duration) -> Token {
    let dir = dir.join("cluster");
    let address = "127.0.0.1:4001".parse().unwrap();
    init::run(InitOptions { dir: dir.clone(), addresses: vec![address] }).unwrap();
    let birth = Birth::read(&dir).unwrap();
    let read = |name| std::fs::read_to_string(dir.join(name)).unwrap();
    let authority = Authority::from_pem(birth.cluster, &read("ca.pem"), &read("ca.key")).unwrap();
    Token::issue(&authority, &birth, NodeId(2), "127.0.0.1:4002".parse().unwrap(), lifetime).unwrap()
}

#[test]
fn a_token_formats_one_directory_under_the_identity_that_was_made_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let token = invited(folder.path(), Duration::from_secs(60));
    let path = folder.path().join("token");
    write_secret(&path, token.to_text().as_bytes()).unwrap();
    let read = Token::read(&path).unwrap();
    let data = folder.path().join("node-2");
    read.join(&data).unwrap();
    let opened = DataDir::open(&data).unwrap();
    let itself = opened.identity.itself().unwrap();
    assert_eq!((itself.node, itself.incarnation, itself.address), (NodeId(2), token.incarnation, token.address));
    assert_eq!(opened.identity.genesis().voters.len(), 1, "it was not there when the cluster was born");
    assert!(matches!(read.join(&data), Err(JoinError::Format(DataDirError::Exists { .. }))));
}

#[test]
fn an_expired_token_formats_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut token = invited(folder.path(), Duration::ZERO);
    token.expires -= 5;
    let data = folder.path().join("node-2");
    assert!(matches!(token.join(&data), Err(JoinError::Expired { node: NodeId(2), .. })));
    assert!(!data.exists());
}
