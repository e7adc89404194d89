//! Forming a cluster: what is refused leaves nothing behind, and what is formed can be opened.

use std::fs;
use std::net::SocketAddr;

use crate::data_dir::{DataDir, DataDirError};

use super::{InitError, InitOptions, run};

fn addresses(count: u16) -> Vec<SocketAddr> {
    (1..=count).map(|port| SocketAddr::from(([127, 0, 0, 1], port))).collect()
}

#[test]
fn a_cluster_has_one_three_five_or_seven_members() {
    let parent = tempfile::tempdir().expect("a temporary directory");
    for count in 0..=9 {
        let dir = parent.path().join(count.to_string());
        let formed = run(InitOptions { dir: dir.clone(), addresses: addresses(count) });
        if let 1 | 3 | 5 | 7 = count {
            assert_eq!(formed.expect("formed").members.len(), usize::from(count));
        } else {
            assert!(matches!(formed, Err(InitError::Size { members }) if members == usize::from(count)), "{count}");
            assert!(!dir.exists(), "a refused cluster of {count} left something behind");
        }
    }
}

#[test]
fn two_members_cannot_share_an_address_and_each_names_its_port() {
    let parent = tempfile::tempdir().expect("a temporary directory");
    let dir = parent.path().join("cluster");
    let (one, two) = (addresses(1)[0], addresses(2)[1]);
    let shared = run(InitOptions { dir: dir.clone(), addresses: vec![one, two, one] });
    assert!(matches!(shared, Err(InitError::SharedAddress { address }) if address == one));
    let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let unnamed = run(InitOptions { dir: dir.clone(), addresses: vec![one, two, anywhere] });
    assert!(matches!(unnamed, Err(InitError::NoPort { address }) if address == anywhere));
    assert!(!dir.exists());
}

#[test]
fn an_existing_folder_is_left_as_it_is() {
    let parent = tempfile::tempdir().expect("a temporary directory");
    let dir = parent.path().join("cluster");
    run(InitOptions { dir: dir.clone(), addresses: addresses(1) }).expect("formed");
    let authority = fs::read(dir.join("ca.key")).expect("readable");
    let again = run(InitOptions { dir: dir.clone(), addresses: addresses(1) });
    assert!(matches!(again, Err(InitError::Folder(DataDirError::Exists { path })) if path == dir));
    assert_eq!(fs::read(dir.join("ca.key")).expect("readable"), authority);

    let empty = parent.path().join("empty");
    fs::create_dir(&empty).expect("made");
    let into_empty = run(InitOptions { dir: empty.clone(), addresses: addresses(1) });
    assert!(matches!(into_empty, Err(InitError::Folder(DataDirError::Exists { .. }))));
    assert_eq!(fs::read_dir(&empty).expect("readable").count(), 0);
}

#[test]
fn every_member_knows_all_incarnations_and_no_two_share_one() {
    let parent = tempfile::tempdir().expect("a temporary directory");
    let dir = parent.path().join("cluster");
    let formed = run(InitOptions { dir, addresses: addresses(3) }).expect("formed");
    let opened: Vec<DataDir> =
        formed.members.iter().map(|member| DataDir::open(&member.data_dir).expect("opened")).collect();
    for directory in &opened {
        assert_eq!(directory.identity.cluster, formed.cluster);
        assert_eq!(directory.identity.members, opened[0].identity.members);
        let itself = directory.identity.itself().expect("it is among the members");
        assert_eq!(itself.incarnation, directory.identity.incarnation);
    }
    assert_eq!(opened[0].identity.genesis().voters.len(), 3);
    let (one, two) = (&opened[0].identity, &opened[1].identity);
    assert_ne!(one.incarnation, two.incarnation);
}

#[test]
fn clusters_formed_alike_are_different_clusters() {
    let parent = tempfile::tempdir().expect("a temporary directory");
    let form = |name| run(InitOptions { dir: parent.path().join(name), addresses: addresses(1) }).expect("formed");
    assert_ne!(form("one").cluster, form("two").cluster);
}
