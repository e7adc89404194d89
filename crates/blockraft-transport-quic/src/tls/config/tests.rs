use blockraft_types::{ClusterId, Incarnation, NodeId};
use rustls::CipherSuite;

use crate::pki::authority::Authority;
use crate::subject::Subject;
use crate::tls::config::{PEER_ALPN, client, server};

#[test]
fn early_data_tickets_and_resumption_are_off_at_both_ends() {
    let cluster = ClusterId::from_bytes([1; 16]);
    let subject = Subject::Node { cluster, node: NodeId(1), incarnation: Incarnation::from_bytes([1; 16]) };
    let credentials = Authority::generate(cluster).unwrap().issue(&subject).unwrap();
    let server = server(&credentials, cluster).unwrap();
    assert_eq!((server.max_early_data_size, server.send_tls13_tickets), (0, 0));
    assert!(!server.session_storage.can_cache());
    let client = client(&credentials, cluster, PEER_ALPN).unwrap();
    assert!(!client.enable_early_data);
    assert_eq!(format!("{:?}", client.resumption).matches("NoClientSessionStorage").count(), 1);
    for suites in [&server.crypto_provider().cipher_suites, &client.crypto_provider().cipher_suites] {
        assert_eq!(suites[0].suite(), CipherSuite::TLS13_AES_128_GCM_SHA256);
    }
}
