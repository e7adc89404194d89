use std::collections::BTreeSet;

use super::*;

#[test]
fn nodes_whose_boot_nonces_follow_from_their_ids_have_seeds_of_their_own() {
    let patterns: [fn(u64, u64) -> u64; 4] = [
        |_, boot| boot,
        |node, boot| node << 32 | boot,
        |node, boot| node ^ boot,
        |node, boot| node.rotate_left(32) ^ boot,
    ];
    for pattern in patterns {
        let starts = (1..=7).flat_map(|node| (1..=100).map(move |boot| (node, boot)));
        let seeds: BTreeSet<u64> =
            starts.map(|(node, boot)| seed(NodeId(node), BootNonce(pattern(node, boot)))).collect();
        assert_eq!(seeds.len(), 700);
    }
}
