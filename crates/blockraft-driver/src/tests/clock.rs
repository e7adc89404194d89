//! Time as the loop counts it.

use std::time::{Duration, Instant};

use crate::clock::Clock;

const TICK: Duration = Duration::from_millis(10);

#[test]
fn ticks_keep_their_distance_from_the_origin_however_late_they_are_noticed() {
    let start = Instant::now();
    let mut clock = Clock::new(start, TICK, 3);
    assert_eq!(clock.due(start + Duration::from_millis(9)), 0);
    assert_eq!(clock.due(start + Duration::from_millis(14)), 1);
    assert_eq!(clock.next(), start + Duration::from_millis(20));
    assert_eq!(clock.due(start + Duration::from_millis(20)), 1);
}

#[test]
fn a_long_pause_counts_for_a_few_ticks() {
    let start = Instant::now();
    let mut clock = Clock::new(start, TICK, 3);
    assert_eq!(clock.due(start + Duration::from_secs(60)), 3);
    assert_eq!(clock.next(), start + Duration::from_secs(60) + TICK);
    assert_eq!(clock.due(start + Duration::from_secs(60)), 0);
}
