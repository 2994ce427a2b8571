//! A listener's ears for the mix: packets of the track `mix` in, its sound out, behind the same timeline as the stage's.
//!
//! ```text
//! state    packet of this tick    lost
//! Silent   decode, fade in        silence
//! Talking  decode                 conceal; after FADED ticks Silent
//! ```
//! The packet that ends the sound leads to Silent: the mix has faded out by itself.

use std::collections::BTreeMap;

use crate::ids::{MAX_SEATS, SeatNo};
use crate::mix::{MAX_TICKS, MixPacket};
use crate::playout::delay::Arrival;
use crate::playout::timeline::{Rendered, Source, Timeline};
use crate::playout::voice::{FADE_IN, FADED, FULL, UNITY, fade};
use crate::playout::{DecodeError, FRAME, Frame, PlayoutConfig, PlayoutStats};
use crate::receiver::Speaking;
use crate::time::Time;
use crate::uplink::{Level, packet_samples};

/// Packets kept ahead: more than the longest target.
const KEPT: usize = 64;

/// An Opus decoder of the mix, 48 kHz mono. Calls come in order of playing.
pub trait MixDecoder {
    /// Decodes a packet into `pcm`, which is as long as its ticks.
    ///
    /// # Errors
    /// [`DecodeError`]; `pcm` is then undefined.
    fn decode(&mut self, opus: &[u8], pcm: &mut [i16]) -> Result<(), DecodeError>;

    /// Makes up a lost tick from what came before.
    ///
    /// # Errors
    /// [`DecodeError`]; `pcm` is then undefined.
    fn conceal(&mut self, pcm: &mut Frame) -> Result<(), DecodeError>;
}

/// See the module. Push packets as they come; pull every 10 or 20 ms.
#[derive(Debug)]
pub struct MixReceiver<D> {
    timeline: Timeline,
    stream: Stream<D>,
    refused: u64,
}

impl<D: MixDecoder> MixReceiver<D> {
    /// Nothing has come yet.
    pub fn new(config: PlayoutConfig, decoder: D) -> Self {
        Self { timeline: Timeline::new(config), stream: Stream::new(decoder), refused: 0 }
    }

    /// A packet came at `now`.
    pub fn push(&mut self, now: Time, packet: MixPacket) {
        if !playable(&packet) {
            self.refused += 1;
            return;
        }
        if tells_the_way(&packet) {
            match self.timeline.arrived(now, packet.group, false) {
                Arrival::Refused => {
                    self.refused += 1;
                    return;
                }
                Arrival::Restarted => self.stream.clear(),
                Arrival::Measured => {}
            }
        }
        self.stream.put(packet, self.timeline.floor());
    }

    /// Fills `out` with 48 kHz mono, at `now`.
    pub fn pull(&mut self, now: Time, out: &mut [i16]) {
        self.timeline.pull(now, out, &mut self.stream);
    }

    /// Who is heard in what was pulled last.
    pub fn speaking(&self) -> impl Iterator<Item = Speaking> {
        self.stream.speaking()
    }

    /// What happened so far.
    #[must_use]
    pub fn stats(&self) -> PlayoutStats {
        let mut stats = self.timeline.stats();
        stats.refused_packets += self.refused;
        self.stream.count_into(&mut stats);
        stats
    }
}

/// Whether the packet is as long as it says.
pub(crate) fn playable(packet: &MixPacket) -> bool {
    let samples = usize::from(packet.ticks) * FRAME;
    packet_samples(&packet.opus) == u32::try_from(samples).ok() && (1..=MAX_TICKS).contains(&packet.ticks.into())
}

/// Packets that only let the room ring out are in no hurry at the mixer: they say nothing of the way here.
pub(crate) fn tells_the_way(packet: &MixPacket) -> bool {
    packet.levels.iter().flatten().any(|level| *level != Level::SILENCE)
}

/// A decoded packet.
#[derive(Debug)]
struct Open {
    group: u64,
    ticks: u64,
    ends: bool,
    levels: [Option<Level>; MAX_SEATS],
    pcm: Vec<i16>,
}

impl Open {
    /// The sound of `tick`, if it is in here.
    fn frame(&self, tick: u64) -> Option<&[i16]> {
        let place = usize::try_from(tick.checked_sub(self.group)?).ok()?;
        self.pcm.chunks_exact(FRAME).nth(place)
    }
}

/// The mix as a source.
#[derive(Debug)]
pub(crate) struct Stream<D> {
    decoder: D,
    packets: BTreeMap<u64, MixPacket>,
    newest: Option<u64>,
    open: Option<Open>,
    talking: bool,
    /// Ticks concealed in a row.
    lost: u32,
    stats: PlayoutStats,
}

impl<D: MixDecoder> Stream<D> {
    pub(crate) fn new(decoder: D) -> Self {
        let stats = PlayoutStats::default();
        Self { decoder, packets: BTreeMap::new(), newest: None, open: None, talking: false, lost: 0, stats }
    }

    /// Keeps a packet that is not all before `floor`.
    pub(crate) fn put(&mut self, packet: MixPacket, floor: u64) {
        if packet.last_group() < floor {
            self.stats.late_packets += 1;
        } else if self.packets.contains_key(&packet.group) {
            self.stats.duplicate_packets += 1;
        } else {
            self.newest = self.newest.max(Some(packet.last_group()));
            self.packets.insert(packet.group, packet);
            if self.packets.len() > KEPT {
                self.packets.pop_first();
            }
        }
    }

    /// Drops every packet: the time has jumped.
    pub(crate) fn clear(&mut self) {
        self.packets.clear();
        (self.newest, self.open, self.talking) = (None, None, false);
    }

    /// Who is heard in what was rendered last.
    pub(crate) fn speaking(&self) -> impl Iterator<Item = Speaking> {
        let levels = self.open.as_ref().map_or([None; MAX_SEATS], |open| open.levels);
        levels.into_iter().zip(0..).filter_map(|(level, number)| {
            let level = level.filter(|level| *level != Level::SILENCE)?;
            Some(Speaking { seat: SeatNo::new(number)?, level })
        })
    }

    /// Adds its counters.
    pub(crate) fn count_into(&self, stats: &mut PlayoutStats) {
        let own = &self.stats;
        stats.decoded_samples += own.decoded_samples;
        stats.concealed_samples += own.concealed_samples;
        stats.late_packets += own.late_packets;
        stats.duplicate_packets += own.duplicate_packets;
        stats.refused_packets += own.refused_packets;
    }

    /// Decodes the packet that `tick` is in, if there is one.
    fn decode(&mut self, tick: u64) {
        let Some((&group, packet)) = self.packets.range(..=tick).next_back() else { return };
        if packet.last_group() < tick {
            return;
        }
        let mut pcm = vec![0; usize::from(packet.ticks) * FRAME];
        if self.decoder.decode(&packet.opus, &mut pcm).is_ok() {
            let (ticks, ends, levels) = (u64::from(packet.ticks), packet.spurt.end, packet.levels);
            self.open = Some(Open { group, ticks, ends, levels, pcm });
        } else {
            self.stats.refused_packets += 1;
        }
        // This one, and what is older still.
        self.packets = self.packets.split_off(&(group + 1));
    }

    fn fall_silent(&mut self) {
        (self.talking, self.lost) = (false, 0);
    }

    fn conceal(&mut self, out: &mut Frame, from: i32, to: i32) {
        if self.decoder.conceal(out).is_err() {
            out.fill(0);
        }
        fade(out, from, to);
        self.stats.concealed_samples += FRAME as u64;
    }
}

/// What is left of the gain after so many concealed ticks.
const fn gain(lost: u32) -> i32 {
    let faded = if lost < FULL {
        0
    } else if lost > FADED {
        FADED - FULL
    } else {
        lost - FULL
    };
    UNITY * (FADED - FULL - faded) as i32 / (FADED - FULL) as i32
}

impl<D: MixDecoder> Source for Stream<D> {
    fn earliest(&self, from: u64) -> Option<u64> {
        let open = self.open.as_ref().and_then(|open| open.frame(from)).map(|_| from);
        let waiting = self.packets.values().filter(|packet| packet.last_group() >= from);
        open.or_else(|| waiting.map(|packet| packet.group.max(from)).min())
    }

    fn newest(&self) -> Option<u64> {
        self.newest
    }

    fn talking(&self) -> bool {
        self.talking
    }

    fn sounding(&self) -> bool {
        self.talking
    }

    fn render(&mut self, tick: u64, out: &mut Frame) -> Rendered {
        if self.open.as_ref().is_none_or(|open| open.frame(tick).is_none()) {
            self.decode(tick);
        }
        let Some(open) = &self.open else { return self.bridge(out) };
        let Some(frame) = open.frame(tick) else { return self.bridge(out) };
        out.copy_from_slice(frame);
        let from = if self.talking { gain(self.lost) } else { 0 };
        if from != UNITY {
            let (head, _) = out.split_at_mut(FADE_IN);
            fade(head, from, UNITY);
        }
        let over = open.ends && tick + 1 == open.group + open.ticks;
        (self.talking, self.lost) = (!over, 0);
        self.stats.decoded_samples += FRAME as u64;
        Rendered::Sound
    }

    fn bridge(&mut self, out: &mut Frame) -> Rendered {
        if !self.talking {
            out.fill(0);
            return Rendered::Silence;
        }
        self.conceal(out, gain(self.lost), gain(self.lost + 1));
        self.lost += 1;
        if self.lost >= FADED {
            self.fall_silent();
        }
        Rendered::Sound
    }

    fn cut(&mut self, to: u64, out: &mut Frame) -> Rendered {
        self.packets.retain(|_, packet| packet.last_group() >= to);
        self.open.take_if(|open| open.frame(to).is_none());
        if !self.talking {
            out.fill(0);
            return Rendered::Silence;
        }
        self.conceal(out, gain(self.lost), 0);
        self.fall_silent();
        Rendered::Sound
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::uplink::Spurt;

    /// "Decodes" to the packet's second byte, in all samples.
    struct Flat(i16);

    impl MixDecoder for Flat {
        fn decode(&mut self, opus: &[u8], pcm: &mut [i16]) -> Result<(), DecodeError> {
            self.0 = i16::from(*opus.last().ok_or(DecodeError)?) * 100;
            pcm.fill(self.0);
            Ok(())
        }
        fn conceal(&mut self, pcm: &mut Frame) -> Result<(), DecodeError> {
            pcm.fill(self.0);
            Ok(())
        }
    }

    /// CELT, 20 ms a frame; code 3 with as many frames as there are ticks.
    fn packet(group: u64, ticks: u8, value: u8, end: bool) -> MixPacket {
        let mut levels = [None; MAX_SEATS];
        levels[3] = Some(Level(20));
        let opus = Bytes::from(vec![0xfb, ticks, value, value, value]);
        MixPacket { group, ticks, spurt: Spurt { start: false, end }, levels, opus }
    }

    fn receiver() -> MixReceiver<Flat> {
        MixReceiver::new(PlayoutConfig::default(), Flat(0))
    }

    /// Plays 20 ms from each time on; packets come at theirs.
    fn run(receiver: &mut MixReceiver<Flat>, packets: &[(u64, MixPacket)], until: u64) -> Vec<i16> {
        let mut heard = Vec::new();
        for at in 0..until / 20 {
            for (_, packet) in packets.iter().filter(|(when, _)| when / 20 == at) {
                receiver.push(Time::from_millis(at * 20), packet.clone());
            }
            let mut out = [0; FRAME];
            receiver.pull(Time::from_millis(at * 20), &mut out);
            heard.push(out[FRAME - 1]);
        }
        heard
    }

    #[test]
    fn packets_of_any_length_are_played_in_order_and_the_last_one_ends_the_sound() {
        let mut receiver = receiver();
        let packets: Vec<_> = [(0, 3, 1), (3, 3, 2), (6, 1, 3), (7, 3, 4)]
            .map(|(group, ticks, value)| {
                (1_000 + (group + u64::from(ticks)) * 20, packet(group, ticks, value, value == 4))
            })
            .into();
        let heard = run(&mut receiver, &packets, 2_000);
        let mut sound: Vec<i16> = heard.iter().copied().filter(|&sample| sample != 0).collect();
        // A flat sound may be stretched anywhere.
        assert!((8..=11).contains(&sound.len()), "{sound:?}");
        assert!(sound.is_sorted());
        sound.dedup();
        assert_eq!(sound, [100, 200, 300, 400]);
        let stats = receiver.stats();
        assert_eq!((stats.decoded_samples, stats.concealed_samples), (10 * FRAME as u64, 0));
    }

    #[test]
    fn a_lost_packet_is_concealed_and_what_is_no_packet_refused() {
        let mut receiver = receiver();
        let mut packets: Vec<_> =
            (0..20u64).map(|n| (1_000 + (n * 3 + 3) * 20, packet(n * 3, 3, 9, n == 19))).collect();
        packets.remove(10);
        let odd = MixPacket { ticks: 2, ..packet(90, 3, 9, false) };
        packets.push((1_500, odd));
        let heard = run(&mut receiver, &packets, 3_000);
        let stats = receiver.stats();
        assert_eq!((stats.refused_packets, stats.decoded_samples), (1, 57 * FRAME as u64));
        assert!((3..=4).contains(&(stats.concealed_samples / FRAME as u64)), "{stats:?}");
        assert!(heard.iter().filter(|&&sample| sample == 900).count() >= 57);
    }

    #[test]
    fn a_stream_that_breaks_off_fades_to_silence() {
        let mut receiver = receiver();
        let packets: Vec<_> = (0..10u64).map(|n| (1_000 + (n * 3 + 3) * 20, packet(n * 3, 3, 9, false))).collect();
        let heard = run(&mut receiver, &packets, 3_000);
        assert_eq!(heard.last(), Some(&0));
        assert!(receiver.speaking().count() <= 1);
    }
}
