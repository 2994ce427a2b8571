//! What the storage does to a recording.
//!
//! | state   | all written | all written, and ended | writing failed             |
//! |---------|-------------|------------------------|----------------------------|
//! | Writing | Writing     | Closed                 | Stalled, first pause       |
//! | Stalled | Writing     | Closed                 | Stalled, twice the pause   |
//! | Closed  | –           | –                      | –                          |

use std::time::Duration;

use spaces_core::time::Time;

/// The first pause before writing is tried again.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The longest.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How a recording and its storage get on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Writing,
    Stalled { retry_at: Time, pause: Duration },
    Closed,
}

impl State {
    /// The table above.
    pub(super) fn after(self, now: Time, written: bool, ended: bool) -> Self {
        match (self, written, ended) {
            (Self::Closed, ..) | (_, true, true) => Self::Closed,
            (_, true, false) => Self::Writing,
            (Self::Writing, false, _) => Self::Stalled { retry_at: now + FIRST_PAUSE, pause: FIRST_PAUSE },
            (Self::Stalled { pause, .. }, false, _) => {
                let pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
                Self::Stalled { retry_at: now + pause, pause }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The whole product of states and events, as the table at the top of this file has it.
    #[test]
    fn every_state_meets_every_event() {
        let now = Time::from_millis(10_000);
        let stalled = |pause: Duration| State::Stalled { retry_at: now + pause, pause };
        let before = State::Stalled { retry_at: now, pause: FIRST_PAUSE };
        let longest = State::Stalled { retry_at: now, pause: LONGEST_PAUSE };
        for (state, going_on, ended, failed) in [
            (State::Writing, State::Writing, State::Closed, stalled(FIRST_PAUSE)),
            (before, State::Writing, State::Closed, stalled(FIRST_PAUSE * 2)),
            (longest, State::Writing, State::Closed, stalled(LONGEST_PAUSE)),
            (State::Closed, State::Closed, State::Closed, State::Closed),
        ] {
            assert_eq!(state.after(now, true, false), going_on, "{state:?}");
            assert_eq!(state.after(now, true, true), ended, "{state:?}");
            assert_eq!(state.after(now, false, false), failed, "{state:?}");
            assert_eq!(state.after(now, false, true), failed, "{state:?}");
        }
    }
}
