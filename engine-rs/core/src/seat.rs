//! A seat's life, as one enum and one table.
//!
//! The table says what a seat may do; jitter, budget and the tick are elsewhere. Only in [`State::Talking`] do ticks wait
//! for the seat, and only with an open [`Gate`] is it heard.

use thiserror::Error;

/// Why a seat that is given may not be heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Gate {
    /// It may be heard.
    Open,
    /// Muted by somebody.
    Muted,
    /// The Space's mic access is off for this role.
    Closed,
    /// Muted, and the mic access is off.
    MutedClosed,
}

/// Where a seat is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Nobody's.
    Empty,
    /// Given; its account has not published since.
    Waiting(Gate),
    /// Its account published and is gone.
    Away(Gate),
    /// Its account publishes; no talkspurt is running.
    Silent(Gate),
    /// In a talkspurt. The gate is open.
    Talking,
    /// The Space is over.
    Ended,
}

/// What happens to a seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// Given to an account.
    Given(Gate),
    /// Taken away.
    Taken,
    /// Its account publishes.
    Connected,
    /// Its account publishes no longer.
    Disconnected,
    /// Muted.
    Muted,
    /// Unmuted.
    Unmuted,
    /// Mic access switched off.
    MicClosed,
    /// Mic access switched on.
    MicOpened,
    /// A frame came.
    Frame,
    /// The last frame of a talkspurt has gone out.
    SpurtEnded,
    /// No frame for so long that the talkspurt must be over.
    SilenceTimeout,
    /// The Space is over.
    SpaceEnded,
}

/// Why an event changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Rejected {
    /// The gate is shut.
    #[error("the seat is silenced")]
    Silenced,
    /// Nobody publishes on the seat.
    #[error("nobody speaks from this seat")]
    NoSeat,
    /// The event makes no sense here; a caller that sends it has lost track.
    #[error("impossible in this state")]
    Impossible,
}

impl Gate {
    /// Every gate.
    pub const ALL: [Self; 4] = [Self::Open, Self::Muted, Self::Closed, Self::MutedClosed];

    /// From its two causes.
    #[must_use]
    pub const fn new(muted: bool, closed: bool) -> Self {
        match (muted, closed) {
            (false, false) => Self::Open,
            (true, false) => Self::Muted,
            (false, true) => Self::Closed,
            (true, true) => Self::MutedClosed,
        }
    }

    const fn muted(self) -> bool {
        matches!(self, Self::Muted | Self::MutedClosed)
    }

    const fn closed(self) -> bool {
        matches!(self, Self::Closed | Self::MutedClosed)
    }

    const fn after(self, event: Event) -> Self {
        match event {
            Event::Muted => Self::new(true, self.closed()),
            Event::Unmuted => Self::new(false, self.closed()),
            Event::MicClosed => Self::new(self.muted(), true),
            Event::MicOpened => Self::new(self.muted(), false),
            _ => self,
        }
    }
}

impl State {
    /// The gate of a seat that is given.
    #[must_use]
    pub const fn gate(self) -> Option<Gate> {
        match self {
            Self::Waiting(gate) | Self::Away(gate) | Self::Silent(gate) => Some(gate),
            Self::Talking => Some(Gate::Open),
            Self::Empty | Self::Ended => None,
        }
    }

    /// The table: the state after `event`.
    ///
    /// # Errors
    /// [`Rejected`]; the state then stays.
    pub const fn after(self, event: Event) -> Result<Self, Rejected> {
        use Event as E;
        use State as S;
        Ok(match (self, event) {
            (_, E::SpaceEnded) => S::Ended,
            (S::Ended, _) => return Err(Rejected::Impossible),

            (S::Empty, E::Given(gate)) => S::Waiting(gate),
            (S::Empty, E::Frame) => return Err(Rejected::NoSeat),
            (S::Empty, _) | (_, E::Given(_)) => return Err(Rejected::Impossible),
            (_, E::Taken) => S::Empty,

            (S::Waiting(gate) | S::Away(gate) | S::Silent(gate), E::Connected) => S::Silent(gate),
            (S::Talking, E::Connected) => S::Talking,
            (S::Waiting(gate), E::Disconnected) => S::Waiting(gate),
            (S::Away(gate) | S::Silent(gate), E::Disconnected) => S::Away(gate),
            (S::Talking, E::Disconnected) => S::Away(Gate::Open),

            (S::Waiting(gate), E::Muted | E::Unmuted | E::MicClosed | E::MicOpened) => S::Waiting(gate.after(event)),
            (S::Away(gate), E::Muted | E::Unmuted | E::MicClosed | E::MicOpened) => S::Away(gate.after(event)),
            (S::Silent(gate), E::Muted | E::Unmuted | E::MicClosed | E::MicOpened) => S::Silent(gate.after(event)),
            (S::Talking, E::Muted | E::MicClosed) => S::Silent(Gate::Open.after(event)),
            (S::Talking, E::Unmuted | E::MicOpened) => S::Talking,

            (S::Silent(Gate::Open) | S::Talking, E::Frame) => S::Talking,
            (S::Silent(_), E::Frame) => return Err(Rejected::Silenced),
            (S::Waiting(_) | S::Away(_), E::Frame) => return Err(Rejected::NoSeat),

            (S::Talking, E::SpurtEnded | E::SilenceTimeout) => S::Silent(Gate::Open),
            (S::Waiting(_) | S::Away(_) | S::Silent(_), E::SpurtEnded | E::SilenceTimeout) => self,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn the_whole_table() {
        let each = |make: fn(Gate) -> State| Gate::ALL.map(make);
        let states = [State::Empty, State::Talking, State::Ended]
            .into_iter()
            .chain(each(State::Waiting))
            .chain(each(State::Away))
            .chain(each(State::Silent));
        let events = Gate::ALL.map(Event::Given).into_iter().chain([
            Event::Taken,
            Event::Connected,
            Event::Disconnected,
            Event::Muted,
            Event::Unmuted,
            Event::MicClosed,
            Event::MicOpened,
            Event::Frame,
            Event::SpurtEnded,
            Event::SilenceTimeout,
            Event::SpaceEnded,
        ]);
        let mut table = String::new();
        for state in states {
            for event in events.clone() {
                let after = match state.after(event) {
                    Ok(next) if next == state => "=".to_owned(),
                    Ok(next) => format!("{next:?}"),
                    Err(why) => format!("! {why}"),
                };
                writeln!(table, "{:20} {:20} {after}", format!("{state:?}"), format!("{event:?}")).unwrap();
            }
        }
        insta::assert_snapshot!(table);
    }
}
