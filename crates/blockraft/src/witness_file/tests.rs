use blockraft_node::witness::Witness;
use tempfile::tempdir;

use super::{read, write};

#[test]
fn what_is_kept_is_read_and_replaced_whole() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("witness");
    assert_eq!(read(&path), Witness::default(), "a first life has no file");
    for _ in 0..2 {
        write(&path, &Witness::default().encode()).unwrap();
        assert_eq!(read(&path), Witness::default());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
    }
}

#[test]
fn a_file_that_is_torn_is_no_reason_not_to_start() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("witness");
    std::fs::write(&path, b"blkr").unwrap();
    assert_eq!(read(&path), Witness::default());
}
