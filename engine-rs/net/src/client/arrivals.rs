//! Which frames one listener has had: the last 64 ticks of each seat, in 112 bytes.

use spaces_core::ids::{MAX_SEATS, SeatNo};

/// Ticks remembered.
const WINDOW: u64 = 64;

/// What a frame is to this listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// The first of its tick and seat.
    New,
    /// Came before.
    Again,
    /// Too old to tell.
    Old,
}

/// See the module. Bit n of a seat stands for tick `newest − n`.
#[derive(Clone, Debug, Default)]
pub(super) struct Arrivals {
    newest: u64,
    seats: [u64; MAX_SEATS],
}

impl Arrivals {
    /// A frame of `seat` in `tick` came.
    pub(super) fn note(&mut self, tick: u64, seat: SeatNo) -> Arrival {
        if tick > self.newest {
            let steps = u32::try_from(tick - self.newest).unwrap_or(u32::MAX);
            for bits in &mut self.seats {
                *bits = bits.checked_shl(steps).unwrap_or_default();
            }
            self.newest = tick;
        }
        let age = self.newest - tick;
        let Some(bits) = self.seats.get_mut(seat.index()).filter(|_| age < WINDOW) else { return Arrival::Old };
        let bit = 1 << age;
        let had = *bits & bit != 0;
        *bits |= bit;
        if had { Arrival::Again } else { Arrival::New }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tick_and_seat_is_new_once_in_any_order() {
        let (a, b) = (SeatNo::new(0).unwrap(), SeatNo::new(12).unwrap());
        let mut arrivals = Arrivals::default();
        assert_eq!(arrivals.note(1_000, a), Arrival::New);
        assert_eq!(arrivals.note(1_000, a), Arrival::Again);
        assert_eq!(arrivals.note(1_000, b), Arrival::New);
        assert_eq!(arrivals.note(1_003, a), Arrival::New);
        assert_eq!(arrivals.note(1_001, a), Arrival::New);
        assert_eq!(arrivals.note(1_001, a), Arrival::Again);
        assert_eq!(arrivals.note(1_000, b), Arrival::Again);
        assert_eq!(arrivals.note(1_066, a), Arrival::New);
        assert_eq!(arrivals.note(1_003, a), Arrival::Again);
        assert_eq!(arrivals.note(1_002, a), Arrival::Old);
        assert_eq!(arrivals.note(u64::MAX, a), Arrival::New);
        assert_eq!(arrivals.note(u64::MAX - 63, a), Arrival::New);
        assert_eq!(arrivals.note(0, a), Arrival::Old);
    }
}
