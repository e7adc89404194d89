use blockraft_types::{ClusterId, Incarnation, NodeId};

use crate::subject::{ClientName, Subject};

#[test]
fn a_subject_reads_back_what_it_prints() {
    let cluster = ClusterId::from_bytes([0xab; 16]);
    let node = Subject::Node { cluster, node: NodeId(u64::MAX), incarnation: Incarnation::from_bytes([1; 16]) };
    let client = Subject::Client { cluster, name: "backup-7".parse().unwrap() };
    for subject in [node, client] {
        assert_eq!(subject.to_string().parse(), Ok(subject));
    }
}

#[test]
fn a_name_that_is_almost_right_is_nobodys() {
    let cluster = "ab".repeat(16);
    for wrong in [
        "".to_owned(),
        "blockraft://".to_owned(),
        format!("https://{cluster}/node/1/{cluster}"),
        format!("blockraft://{cluster}/node/1"),
        format!("blockraft://{cluster}/node/+1/{cluster}"),
        format!("blockraft://{cluster}/node/01/{cluster}"),
        format!("blockraft://{cluster}/node/18446744073709551616/{cluster}"),
        format!("blockraft://{cluster}/node/1/{cluster}/"),
        format!("blockraft://{}/node/1/{cluster}", cluster.to_uppercase()),
        format!("blockraft://{cluster}/client/"),
        format!("blockraft://{cluster}/client/a b"),
        format!("blockraft://{cluster}/client/{}", "x".repeat(65)),
        format!("blockraft://{cluster}/admin/x"),
    ] {
        assert!(wrong.parse::<Subject>().is_err(), "{wrong} was taken for a name");
    }
    assert!("x".repeat(64).parse::<ClientName>().is_ok());
}
