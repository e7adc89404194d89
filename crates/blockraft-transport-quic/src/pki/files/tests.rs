use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;

use crate::pki::files::{ReadSecretError, read_secret, write_secret};

#[test]
fn a_secret_is_its_owners_alone_and_never_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("node.key");
    write_secret(&path, b"secret").unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(read_secret(&path).unwrap(), "secret");
    assert_eq!(write_secret(&path, b"other").unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_eq!(read_secret(&path).unwrap(), "secret");
}

#[test]
fn a_secret_that_others_may_read_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("node.key");
    write_secret(&path, b"secret").unwrap();
    for mode in [0o640, 0o604, 0o620] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        assert!(matches!(read_secret(&path), Err(ReadSecretError::Exposed { mode: found, .. }) if found == mode));
    }
    assert!(matches!(read_secret(&directory.path().join("none")), Err(ReadSecretError::Io { .. })));
}
