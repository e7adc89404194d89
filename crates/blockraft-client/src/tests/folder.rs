use std::fs;
use std::path::Path;

use blockraft_transport_quic::{Authority, Subject};
use blockraft_types::{ClusterId, NodeId};
use tempfile::TempDir;

use crate::config::{ClientConfig, Member};
use crate::folder::{LoadError, SaveError};

fn saved() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    config().save(folder.path()).unwrap();
    folder
}

fn config() -> ClientConfig {
    let cluster = ClusterId::from_bytes([7; 16]);
    let authority = Authority::generate(cluster).unwrap();
    let credentials = authority.issue(&Subject::Client { cluster, name: "admin".parse().unwrap() }).unwrap();
    let member = |node: u64| Member { node: NodeId(node), address: format!("127.0.0.1:400{node}").parse().unwrap() };
    ClientConfig::new(cluster, vec![member(1), member(2)], credentials)
}

#[test]
fn a_folder_is_read_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let config = config();
    config.save(folder.path()).unwrap();
    let loaded = ClientConfig::load(folder.path()).unwrap();
    assert_eq!((loaded.cluster, &loaded.members), (config.cluster, &config.members));
    assert_eq!(loaded.credentials.key_pem, config.credentials.key_pem);
    assert_eq!(loaded.credentials.subject().unwrap(), config.credentials.subject().unwrap());
}

#[test]
fn the_format_is_the_documented_one() {
    let text = fs::read_to_string(saved().path().join("client.toml")).unwrap();
    let expected = "format = 1\ncluster = \"07070707070707070707070707070707\"\n\n\
        [[member]]\nnode = 1\naddress = \"127.0.0.1:4001\"\n\n[[member]]\nnode = 2\naddress = \"127.0.0.1:4002\"\n";
    assert_eq!(text, expected);
}

#[test]
fn members_are_brought_up_to_date_in_place_and_nothing_else_is() {
    let folder = saved();
    let before = ClientConfig::load(folder.path()).unwrap();
    let members =
        [4, 2].map(|node| Member { node: NodeId(node), address: format!("10.0.0.{node}:1").parse().unwrap() });
    before.save_members(folder.path(), &members).unwrap();
    let after = ClientConfig::load(folder.path()).unwrap();
    assert_eq!((after.cluster, after.members.as_slice()), (before.cluster, members.as_slice()));
    assert_eq!(after.credentials.key_pem, before.credentials.key_pem);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4, "nothing is left beside them");
}

#[test]
fn a_folder_is_never_written_over() {
    let folder = saved();
    assert!(matches!(config().save(folder.path()), Err(SaveError::Io { .. })));
}

fn refused(change: impl FnOnce(&Path)) -> (String, LoadError) {
    let folder = saved();
    change(folder.path());
    let error = ClientConfig::load(folder.path()).unwrap_err();
    (error.to_string(), error)
}

#[test]
fn each_problem_is_named_with_its_file() {
    let toml = |text: &'static str| move |dir: &Path| fs::write(dir.join("client.toml"), text).unwrap();
    let (text, error) = refused(|dir| fs::remove_file(dir.join("client.toml")).unwrap());
    assert!(matches!(error, LoadError::NotAClientFolder { .. }), "{text}");
    let (text, error) = refused(|dir| fs::remove_file(dir.join("ca.pem")).unwrap());
    assert!(matches!(error, LoadError::Io { .. }) && text.contains("ca.pem"), "{text}");
    let (text, error) = refused(|dir| {
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        fs::set_permissions(dir.join("client.key"), open).unwrap();
    });
    assert!(matches!(error, LoadError::Key(_)), "{text}");
    let (text, error) = refused(toml("format = 2\nsomething = \"new\"\n"));
    assert!(matches!(error, LoadError::Format { found: 2, .. }), "{text}");
    let (text, error) = refused(toml("format = 1\ncluster = \"07\"\n"));
    assert!(matches!(error, LoadError::Cluster { .. }), "{text}");
    let (text, error) = refused(toml("what is this"));
    assert!(matches!(error, LoadError::Toml { .. }) && text.contains("client.toml"), "{text}");
    let (text, error) = refused(toml("format = 1\ncluster = \"07070707070707070707070707070707\"\n"));
    assert!(matches!(error, LoadError::Members { .. }), "{text}");
    let member =
        "format = 1\ncluster = \"07070707070707070707070707070707\"\n[[member]]\nnode = 1\naddress = \"nowhere\"\n";
    let (text, error) = refused(toml(member));
    assert!(matches!(error, LoadError::Address { node: NodeId(1), .. }), "{text}");
}
