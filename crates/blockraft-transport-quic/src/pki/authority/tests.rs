use blockraft_types::{ClusterId, Incarnation, NodeId};

use crate::pki::authority::{Authority, IssueError};
use crate::subject::Subject;

const CLUSTER: ClusterId = ClusterId::from_bytes([1; 16]);

fn node(cluster: ClusterId) -> Subject {
    Subject::Node { cluster, node: NodeId(1), incarnation: Incarnation::from_bytes([1; 16]) }
}

#[test]
fn a_certificate_names_exactly_its_subject() {
    let credentials = Authority::generate(CLUSTER).unwrap().issue(&node(CLUSTER)).unwrap();
    assert_eq!(credentials.subject().unwrap(), node(CLUSTER));
    let client = Subject::Client { cluster: CLUSTER, name: "backup".parse().unwrap() };
    assert_eq!(Authority::generate(CLUSTER).unwrap().issue(&client).unwrap().subject().unwrap(), client);
}

#[test]
fn an_authority_issues_nothing_for_another_cluster() {
    let other = ClusterId::from_bytes([2; 16]);
    let refused = Authority::generate(CLUSTER).unwrap().issue(&node(other)).map(|_| ());
    assert!(
        matches!(refused, Err(IssueError::OtherCluster { authority, subject }) if (authority, subject) == (CLUSTER, other))
    );
}

#[test]
fn no_debug_output_holds_a_private_key() {
    let authority = Authority::generate(CLUSTER).unwrap();
    let credentials = authority.issue(&node(CLUSTER)).unwrap();
    for (text, key) in
        [(format!("{authority:?}"), authority.key_pem()), (format!("{credentials:?}"), credentials.key_pem)]
    {
        assert!(!text.contains("PRIVATE KEY"));
        assert!(key.lines().filter(|line| !line.starts_with("-----")).all(|line| !text.contains(line)));
    }
}
