//! Who talks alone need not be coded anew: their packets are the mix, as they came.
//!
//! That is most of the time in most Spaces. It spares the mix's largest cost, and the listener a second loss of quality. But an
//! Opus packet stands on those before it, so who decodes the mix hears a change of the encoder, unless it is made well:
//!
//! ```text
//!          the mix begins, or was quiet for QUIET ticks, and one seat's packet is all there is
//! Encoded ───────────────────────────────────────────────────────────────────────────────────────→ Forwarded(seat)
//!         ←───────────────────────────────────────────────────────────────────────────────────────
//!          anything else: somebody joins in, a packet is lost, too large, stereo, not of 20 ms
//! ```
//! Where it is quiet a decoder knows of either encoder's past the same: next to nothing. On the way back nobody waits for that.
//! The encoder begins anew ([`crate::mix::Encoder::restart`]): behind the last ticks that were forwarded, which are kept for it,
//! with a packet that stands on none before it.

use bytes::Bytes;

use crate::ids::SeatMask;
use crate::playout::{FRAME, Frame};
use crate::uplink::packet_samples;

/// Quiet ticks after which the encoder may be left.
const QUIET: u8 = 3;
/// Peak of what is quiet: −44 dBFS, as a room is.
const FLOOR: u16 = 200;
/// Ticks that are kept.
const KEPT: usize = 2;
/// A packet may be so many times larger than packets may be on average …
const PEAK: usize = 2;
/// … which is a mean that decays over so many ticks.
const MEMORY: usize = 32;
/// Each change of mode or bandwidth cuts the packets that ticks are put together to. It costs so much, …
const CHANGE: u8 = 25;
/// … of which each tick forgives one, and more than this is too much: the third change in half a second.
const RESTLESS: u8 = 60;

/// What goes out of one tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// What the encoder makes of it.
    Encoded,
    /// The same, and the encoder has to begin anew.
    EncodedAnew,
    /// The packet as it came.
    Forwarded,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Forward {
    /// Bytes that packets may have on average; 0: nothing is forwarded.
    most: usize,
    /// Whose packets are forwarded.
    seat: Option<usize>,
    quiet: u8,
    /// The mean of the packets' lengths, times [`MEMORY`].
    spent: usize,
    /// First byte of the last packet.
    toc: u8,
    restless: u8,
    /// The sound of the last ticks that were forwarded, the newest behind, and how many there are.
    kept: Box<[Frame; KEPT]>,
    filled: usize,
}

impl Forward {
    pub(crate) fn new(most: u16) -> Self {
        Self {
            most: most.into(),
            seat: None,
            quiet: 0,
            spent: 0,
            toc: 0,
            restless: 0,
            kept: Box::new([[0; FRAME]; KEPT]),
            filled: 0,
        }
    }

    /// How a tick goes out whose sound is `pcm`. `begins`: nothing went out before it, the mix has paused. `lone`: the packet,
    /// whole, of the one seat that sounds in it.
    pub(crate) fn choose(&mut self, begins: bool, lone: Option<(usize, &Bytes)>, pcm: &Frame) -> Way {
        let quiet = self.quiet >= QUIET;
        let silent = pcm.iter().all(|sample| sample.unsigned_abs() <= FLOOR);
        self.quiet = if silent { self.quiet.saturating_add(1) } else { 0 };
        match (self.seat, lone.filter(|(_, opus)| self.bears(opus))) {
            (Some(seat), Some((lone, opus))) if seat == lone && self.goes_on(opus) => {}
            (None, Some((seat, opus))) if begins || quiet && silent => self.begin(seat, opus),
            (Some(_), _) => {
                self.seat = None;
                return Way::EncodedAnew;
            }
            (None, _) => return Way::Encoded,
        }
        self.keep(pcm);
        Way::Forwarded
    }

    /// Hands out what went past the encoder last, so that it can begin behind it: whole ticks of one seat. They are not kept.
    pub(crate) fn take(&mut self) -> (usize, [Frame; KEPT]) {
        let kept = (core::mem::take(&mut self.filled), *self.kept);
        self.kept.as_flattened_mut().fill(0);
        kept
    }

    /// Nothing of these seats is kept.
    pub(crate) fn forget(&mut self, seats: SeatMask) {
        if self.seat.is_some_and(|seat| seats >> seat & 1 == 1) {
            self.take();
        }
    }

    fn begin(&mut self, seat: usize, opus: &[u8]) {
        self.seat = Some(seat);
        (self.restless, self.spent) = (0, opus.len() * MEMORY);
        self.toc = opus.first().copied().unwrap_or_default();
    }

    /// Whether listeners of the mix may be sent such a packet: one frame of 20 ms, mono, not much longer than they expect.
    fn bears(&self, opus: &[u8]) -> bool {
        let [toc, _, _, ..] = opus else { return false };
        toc & 0b111 == 0 && packet_samples(opus) == Some(FRAME as u32) && opus.len() <= self.most * PEAK
    }

    fn goes_on(&mut self, opus: &[u8]) -> bool {
        let toc = opus.first().copied().unwrap_or_default();
        let cost = if core::mem::replace(&mut self.toc, toc) == toc { 0 } else { CHANGE };
        self.restless = self.restless.saturating_sub(1) + cost;
        self.spent = self.spent - self.spent / MEMORY + opus.len();
        self.restless <= RESTLESS && self.spent <= self.most * MEMORY
    }

    fn keep(&mut self, pcm: &Frame) {
        self.kept.rotate_left(1);
        if let Some(last) = self.kept.last_mut() {
            *last = *pcm;
        }
        self.filled = (self.filled + 1).min(KEPT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// TOC of one frame of 20 ms: SILK wideband mono, its stereo, CELT fullband mono.
    const VOICE: u8 = 0x48;
    const STEREO: u8 = 0x4c;
    const MUSIC: u8 = 0xf8;
    const LOUD: Frame = [5_000; FRAME];
    const SOFT: Frame = [150; FRAME];

    fn packet(toc: u8, length: usize) -> Bytes {
        let mut packet = vec![7; length];
        packet[0] = toc;
        packet.into()
    }

    fn quiet(forward: &mut Forward, seat: usize) {
        for _ in 0..QUIET {
            assert_eq!(forward.choose(false, Some((seat, &packet(VOICE, 80))), &SOFT), Way::Encoded);
        }
        assert_eq!(forward.choose(false, Some((seat, &packet(VOICE, 80))), &SOFT), Way::Forwarded);
    }

    #[test]
    fn a_change_waits_for_quiet_and_the_way_back_for_nothing() {
        let mut forward = Forward::new(160);
        let voice = packet(VOICE, 80);
        for _ in 0..100 {
            assert_eq!(forward.choose(false, Some((2, &voice)), &LOUD), Way::Encoded, "in the middle of a word");
        }
        quiet(&mut forward, 2);
        for _ in 0..100 {
            assert_eq!(forward.choose(false, Some((2, &voice)), &LOUD), Way::Forwarded);
        }
        assert_eq!(forward.choose(false, None, &LOUD), Way::EncodedAnew, "somebody joins in");
        let (ticks, kept) = forward.take();
        assert_eq!((ticks, kept), (KEPT, [LOUD; KEPT]));
        assert_eq!(forward.take().0, 0);
        assert_eq!(forward.choose(false, Some((2, &voice)), &LOUD), Way::Encoded);
        quiet(&mut forward, 2);
        assert_eq!(forward.choose(false, Some((3, &voice)), &SOFT), Way::EncodedAnew, "another one");
    }

    #[test]
    fn who_begins_need_not_wait() {
        let mut forward = Forward::new(160);
        let voice = packet(VOICE, 80);
        assert_eq!(forward.choose(true, None, &LOUD), Way::Encoded, "two of them");
        assert_eq!(forward.choose(true, Some((2, &voice)), &LOUD), Way::Forwarded);
        assert_eq!(forward.choose(true, Some((2, &voice)), &LOUD), Way::Forwarded);
        assert_eq!(forward.choose(true, Some((5, &voice)), &LOUD), Way::EncodedAnew);
    }

    #[test]
    fn only_what_listeners_bargained_for_goes_past_the_encoder() {
        for (toc, length) in [(STEREO, 80), (VOICE | 1, 80), (VOICE | 3, 80), (0x40, 80), (VOICE, 321), (VOICE, 2)] {
            let mut forward = Forward::new(160);
            quiet(&mut forward, 0);
            assert_eq!(
                forward.choose(false, Some((0, &packet(toc, length))), &SOFT),
                Way::EncodedAnew,
                "{toc:x}, {length}"
            );
        }
        let mut never = Forward::new(0);
        for _ in 0..10 {
            assert_eq!(never.choose(false, Some((0, &packet(VOICE, 80))), &SOFT), Way::Encoded);
        }
    }

    #[test]
    fn a_few_large_packets_are_borne_and_many_are_not() {
        let mut forward = Forward::new(160);
        quiet(&mut forward, 0);
        let large = packet(VOICE, 300);
        let borne = (0..).take_while(|_| forward.choose(false, Some((0, &large)), &LOUD) == Way::Forwarded).count();
        assert!((10..20).contains(&borne), "{borne}");
    }

    #[test]
    fn who_changes_mode_all_the_time_is_coded_anew() {
        for (every, goes_on) in [(40, true), (4, false)] {
            let mut forward = Forward::new(160);
            quiet(&mut forward, 0);
            let toc = |n: usize| if (n / every).is_multiple_of(2) { VOICE } else { MUSIC };
            let all = (0..400).all(|n| forward.choose(false, Some((0, &packet(toc(n), 80))), &LOUD) == Way::Forwarded);
            assert_eq!(all, goes_on, "every {every} ticks");
        }
    }

    #[test]
    fn nothing_is_kept_of_who_is_forgotten() {
        let mut forward = Forward::new(160);
        quiet(&mut forward, 4);
        forward.forget(1 << 3);
        assert_eq!(forward.filled, 1);
        forward.forget(1 << 4);
        assert_eq!(forward.choose(false, None, &LOUD), Way::EncodedAnew, "the encoder has not heard what went out");
        assert_eq!(forward.take(), (0, [[0; FRAME]; KEPT]));
    }
}
