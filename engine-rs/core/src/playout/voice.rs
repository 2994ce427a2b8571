//! One seat's packets and decoder: renders the seat's sound tick by tick, whatever is missing.
//!
//! ```text
//! state    packet of this tick    lost, the next has FEC    lost otherwise
//! Silent   decode, fade in        decode FEC, fade in (*)   silence
//! Talking  decode                 decode FEC                conceal; after FADED ticks Silent
//! Ending   decode, fade in        decode FEC, fade in (*)   conceal and fade out; then Silent
//! ```
//! (*) unless the next packet starts a talkspurt: then nothing was lost. A packet with the end flag leads from Talking to
//! Ending. Within Talking, a next packet with the start flag means that the end flag was lost: Ending.

use bytes::Bytes;

use crate::uplink::{Level, MAX_FRAME, packet_samples};

use super::timeline::Rendered;
use super::{Decoder, FRAME, Frame, Packet, PlayoutStats};

/// Ticks that are kept ahead and behind: more than the longest target and the longest prefill.
const SLOTS: u64 = 64;

/// Concealed ticks in a row at full level …
pub(crate) const FULL: u32 = 3;
/// … and those after which the voice has faded to silence.
pub(crate) const FADED: u32 = 6;

/// Samples of a fade in: 5 ms.
pub(crate) const FADE_IN: usize = 240;

/// Unity gain.
pub(crate) const UNITY: i32 = 1 << 14;

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Put {
    Kept,
    Duplicate,
    Late,
    Refused,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Silent,
    Talking,
    Ending,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Voice<D> {
    decoder: D,
    /// Slot `tick % SLOTS`.
    slots: Box<[Option<Packet>]>,
    newest: Option<u64>,
    state: State,
    /// Ticks concealed in a row.
    lost: u32,
    level: Option<Level>,
    /// The packet that the tick rendered last is the sound of.
    whole: Option<Bytes>,
    stats: PlayoutStats,
}

impl<D: Decoder> Voice<D> {
    pub(crate) fn new(decoder: D) -> Self {
        let slots = (0..SLOTS).map(|_| None).collect();
        let stats = PlayoutStats::default();
        Self { decoder, slots, newest: None, state: State::Silent, lost: 0, level: None, whole: None, stats }
    }

    /// Keeps a packet for its tick, if that is not before `floor`.
    pub(crate) fn put(&mut self, packet: Packet, floor: u64) -> Put {
        if packet.opus.len() > MAX_FRAME || packet_samples(&packet.opus) != Some(FRAME as u32) {
            return Put::Refused;
        }
        let tick = packet.tick;
        if tick < floor {
            // A redundant copy of what was played is the rule, not a late packet.
            self.stats.late_packets += u64::from(!packet.redundant);
            return Put::Late;
        }
        let Some(slot) = self.slots.get_mut((tick % SLOTS) as usize) else { return Put::Refused };
        match slot {
            Some(kept) if kept.tick == tick => {
                self.stats.duplicate_packets += u64::from(!packet.redundant);
                return Put::Duplicate;
            }
            Some(kept) if kept.tick > tick => {
                self.stats.late_packets += 1;
                return Put::Late;
            }
            _ => {}
        }
        self.stats.redundant_packets += u64::from(packet.redundant);
        self.newest = Some(self.newest.map_or(tick, |newest| newest.max(tick)));
        *slot = Some(packet);
        Put::Kept
    }

    /// The first tick from `from` on of which there is a packet.
    pub(crate) fn earliest(&self, from: u64) -> Option<u64> {
        self.slots.iter().flatten().map(|packet| packet.tick).filter(|&tick| tick >= from).min()
    }

    /// The last tick of which there was a packet.
    pub(crate) const fn newest(&self) -> Option<u64> {
        self.newest
    }

    /// Whether a talkspurt is open.
    pub(crate) fn talking(&self) -> bool {
        self.state == State::Talking
    }

    /// Whether a talkspurt is open, or fades out.
    pub(crate) fn sounding(&self) -> bool {
        self.state != State::Silent
    }

    /// Level of the tick rendered last; `None` in silence.
    pub(crate) const fn level(&self) -> Option<Level> {
        self.level
    }

    /// The packet that the tick rendered last is the sound of: nothing was repaired or concealed.
    pub(crate) const fn whole(&self) -> Option<&Bytes> {
        self.whole.as_ref()
    }

    /// Renders `tick`. Ticks are asked for in rising order.
    pub(crate) fn render(&mut self, tick: u64, out: &mut Frame) -> Rendered {
        self.whole = None;
        if let Some(packet) = self.take(tick) {
            return self.decode(&packet, out);
        }
        let next = self.slot(tick.saturating_add(1)).filter(|packet| packet.tick == tick.saturating_add(1)).cloned();
        match next {
            Some(next) if next.spurt.start => self.end(),
            Some(next) if carries_fec(&next) && self.decoder.decode_fec(&next.opus, out).is_ok() => {
                self.resume(out);
                self.level = Some(next.level);
                self.stats.fec_samples += FRAME as u64;
                return Rendered::Sound;
            }
            _ => {}
        }
        self.bridge(out)
    }

    /// More of what was heard last, without a tick of its own.
    pub(crate) fn bridge(&mut self, out: &mut Frame) -> Rendered {
        match self.state {
            State::Silent => {
                out.fill(0);
                Rendered::Silence
            }
            State::Ending => {
                self.conceal(out);
                fade(out, UNITY, 0);
                self.fall_silent();
                Rendered::Sound
            }
            State::Talking => {
                self.conceal(out);
                self.stats.concealed_samples += FRAME as u64;
                let gain = |lost: u32| UNITY * (FADED - lost.clamp(FULL, FADED)) as i32 / (FADED - FULL) as i32;
                fade(out, gain(self.lost), gain(self.lost + 1));
                self.lost += 1;
                if self.lost >= FADED {
                    self.fall_silent();
                }
                Rendered::Sound
            }
        }
    }

    /// Fades out at once: what follows is at `to`, packets before it are dropped.
    pub(crate) fn cut(&mut self, to: u64, out: &mut Frame) -> Rendered {
        for slot in &mut self.slots {
            if slot.as_ref().is_some_and(|packet| packet.tick < to) {
                *slot = None;
            }
        }
        self.end();
        self.bridge(out)
    }

    /// Drops every packet: the time has jumped.
    pub(crate) fn clear(&mut self) {
        self.slots.fill_with(|| None);
        self.newest = None;
        self.end();
    }

    /// Adds this voice's counters.
    pub(crate) fn count_into(&self, stats: &mut PlayoutStats) {
        stats.decoded_samples += self.stats.decoded_samples;
        stats.fec_samples += self.stats.fec_samples;
        stats.concealed_samples += self.stats.concealed_samples;
        stats.late_packets += self.stats.late_packets;
        stats.duplicate_packets += self.stats.duplicate_packets;
        stats.redundant_packets += self.stats.redundant_packets;
        stats.refused_packets += self.stats.refused_packets;
    }

    fn end(&mut self) {
        if self.state == State::Talking {
            self.state = State::Ending;
        }
    }

    fn slot(&self, tick: u64) -> Option<&Packet> {
        self.slots.get((tick % SLOTS) as usize)?.as_ref()
    }

    fn take(&mut self, tick: u64) -> Option<Packet> {
        self.slots.get_mut((tick % SLOTS) as usize)?.take_if(|packet| packet.tick == tick)
    }

    fn decode(&mut self, packet: &Packet, out: &mut Frame) -> Rendered {
        if self.decoder.decode(&packet.opus, out).is_err() {
            self.stats.refused_packets += 1;
            return self.bridge(out);
        }
        self.resume(out);
        self.whole = Some(packet.opus.clone());
        self.level = Some(packet.level);
        self.stats.decoded_samples += FRAME as u64;
        if packet.spurt.end {
            self.state = State::Ending;
        }
        Rendered::Sound
    }

    /// Sound is back: fades it in where the last sound had faded out.
    fn resume(&mut self, out: &mut Frame) {
        let from = match self.state {
            State::Talking if self.lost <= FULL => UNITY,
            State::Talking => UNITY * (FADED - self.lost.min(FADED)) as i32 / (FADED - FULL) as i32,
            State::Ending => UNITY,
            State::Silent => 0,
        };
        if from != UNITY {
            let (head, _) = out.split_at_mut(FADE_IN);
            fade(head, from, UNITY);
        }
        self.state = State::Talking;
        self.lost = 0;
    }

    fn conceal(&mut self, out: &mut Frame) {
        if self.decoder.conceal(out).is_err() {
            out.fill(0);
        }
    }

    fn fall_silent(&mut self) {
        self.state = State::Silent;
        self.level = None;
        self.lost = 0;
    }
}

/// Gain in steps of 1/2¹⁴, linear from the first sample to behind the last.
pub(crate) fn fade(pcm: &mut [i16], from: i32, to: i32) {
    if from == UNITY && to == UNITY {
        return;
    }
    let length = pcm.len().max(1) as i32;
    for (at, sample) in (0..).zip(pcm.iter_mut()) {
        let gain = from + (to - from) * at / length;
        *sample = (i32::from(*sample) * gain / UNITY) as i16;
    }
}

/// Whether a packet carries the tick before it as in-band FEC: the LBRR flag behind the VAD flag at the start of a mono
/// SILK frame (RFC 6716 §4.2.3), and no talkspurt that starts here.
pub(crate) fn carries_fec(packet: &Packet) -> bool {
    let [toc, silk, ..] = packet.opus.as_ref() else { return false };
    let has_silk = toc >> 3 < 16;
    let one_mono_frame = toc & 0b111 == 0;
    !packet.spurt.start && has_silk && one_mono_frame && silk & 0x40 != 0
}
