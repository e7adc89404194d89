//! Waiting for a state that comes by itself, with a bound.

use core::time::Duration;

use tokio::time::{Instant, interval};

/// Looks again and again until `look` finds what it looks for.
///
/// # Panics
/// It doesn't within `patience`; `what` says what was awaited.
pub async fn eventually<T>(what: &str, patience: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience;
    let mut looks = interval(Duration::from_millis(5));
    loop {
        looks.tick().await;
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {patience:?}: {what}");
    }
}
