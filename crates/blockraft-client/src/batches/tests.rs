use super::*;

fn weights(count: usize, header_bytes: usize, body_bytes: usize) -> Vec<Weight> {
    vec![Weight { header_bytes, body_bytes }; count]
}

#[test]
fn nothing_makes_no_batch() {
    assert!(cut(&[], 100).is_empty());
}

#[test]
fn batches_end_at_the_first_of_three_bounds() {
    assert_eq!(cut(&weights(2_100, 34, 0), 100), [0..1_024, 1_024..2_048, 2_048..2_100]);
    assert_eq!(cut(&weights(5, 34, 40), 100), [0..2, 2..4, 4..5]);
    let long_names = cut(&weights(1_024, 66, 0), 100);
    assert_eq!(long_names.len(), 2);
    assert!(long_names.iter().all(|batch| batch.len() * (66 + LENGTH_BYTES) <= HEADER_BYTES_MAX));
}

#[test]
fn a_block_over_the_bound_goes_alone() {
    let mut mixed = weights(3, 34, 10);
    mixed[1].body_bytes = 1_000;
    assert_eq!(cut(&mixed, 100), [0..1, 1..2, 2..3]);
}
