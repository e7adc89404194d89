use std::time::Duration;

use crate::peer::backoff::Backoff;

#[test]
fn pauses_double_up_to_their_bound_and_start_again_after_a_success() {
    let mut backoff = Backoff::new(Duration::from_secs(2));
    for expected in [50, 100, 200, 400, 800, 1_600, 2_000, 2_000] {
        let pause = backoff.pause();
        assert!((expected / 2..=expected).contains(&(pause.as_millis() as u64)), "{pause:?} for {expected} ms");
    }
    backoff.reset();
    assert!(backoff.pause() <= Duration::from_millis(50));
}
