//! Waiting, always with a bound.

use std::thread;
use std::time::{Duration, Instant};

/// Lets `time` pass.
pub(crate) fn pause(time: Duration) {
    let until = Instant::now() + time;
    while let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        thread::park_timeout(left);
    }
}

/// Asks again and again until there is an answer; `None` when `limit` is over.
pub(crate) fn until<T>(limit: Duration, mut answer: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + limit;
    loop {
        if let Some(answer) = answer() {
            return Some(answer);
        }
        if end <= Instant::now() {
            return None;
        }
        pause(BETWEEN);
    }
}

const BETWEEN: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::until;

    #[test]
    fn the_first_answer_ends_the_wait_and_the_limit_does_too() {
        let mut asked = 0;
        let third = until(Duration::from_secs(60), || {
            asked += 1;
            (asked == 3).then_some(asked)
        });
        assert_eq!(third, Some(3));
        assert_eq!(until(Duration::ZERO, || None::<()>), None);
    }
}
