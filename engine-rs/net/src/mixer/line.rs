//! One Space's mix under any time: what comes in, when the mix goes on by itself, what comes out.

use std::time::Duration;

use spaces_core::codec::{CodecError, MixEncoder, OpusDecoder};
use spaces_core::ids::{MAX_SEATS, SeatMask, SpaceId};
use spaces_core::mix::{Config, Mixer};
use spaces_core::mix_feed::Mixed;
use spaces_core::record::RecordedFrame;
use spaces_core::time::{TICK, Time};

use super::MixConfig;

/// How much later than even a tick may come while somebody talks: a stall of the only speaker is bridged by then.
const PATIENCE: Duration = Duration::from_millis(150);
/// The same while nobody talks: a seat whose network is worse than the last one's begins so much later.
const REST: Duration = Duration::from_millis(60);
/// Ticks.
const GONE: u64 = 10;
/// A line that nobody has spoken on for so long is forgotten, with its encoder and decoders.
const FORGET: Duration = Duration::from_secs(30);

/// See the module. After each call: [`Line::poll`] until `None`, then [`Line::next_timeout`]. Times handed in never go back.
#[derive(Debug)]
pub struct Line {
    space: SpaceId,
    mixer: Mixer<OpusDecoder, MixEncoder>,
    /// The last that was seen.
    epoch: u64,
    /// The last tick, and when it came: time goes on from there.
    last: (u64, Time),
    /// The last tick of each seat that is in a talkspurt.
    spoke: [Option<u64>; MAX_SEATS],
    forgotten: bool,
    /// The tick with which the last one who talked has ended: what is in it must not wait for more.
    over: Option<u64>,
}

impl Line {
    /// A mix in which nobody has spoken yet.
    ///
    /// # Errors
    /// [`CodecError`] if libopus refuses a setting or has no memory.
    pub fn new(space: SpaceId, config: &MixConfig) -> Result<Self, CodecError> {
        let encoder = MixEncoder::new(config.bitrate, config.complexity)?;
        // A third more than the mix itself: at 48 kbit/s what browsers send at 64.
        let forward_bytes = u16::try_from(config.bitrate / 8 / 50 * 4 / 3).unwrap_or(u16::MAX);
        // A seat that libopus has no memory for stays silent.
        let mixer = Mixer::new(Config { forward_bytes, ..Config::default() }, encoder, || OpusDecoder::new().ok());
        let spoke = [None; MAX_SEATS];
        Ok(Self { space, mixer, epoch: 0, last: (0, Time(0)), spoke, forgotten: false, over: None })
    }

    /// A tick. When the last one who talked has ended, what was said goes out without waiting for more.
    ///
    /// Each tick is a packet; the shards put them together to those that listeners get ([`MixConfig::ticks`]).
    pub fn tick(&mut self, now: Time, epoch: u64, group: u64, frames: &[RecordedFrame]) {
        self.epoch = self.epoch.max(epoch);
        for frame in frames {
            if let Some(spoke) = self.spoke.get_mut(frame.seat.index()) {
                *spoke = (!frame.spurt.end).then_some(group);
            }
        }
        self.last = (group, now);
        self.mixer.tick(group, frames);
        self.over = (!self.talking()).then_some(group);
        if self.over.is_some() {
            self.mixer.flush(group);
        } else if self.complete() {
            self.mixer.advance(group.saturating_add(1));
        } else {
            self.mixer.advance(group);
        }
    }

    /// Forgets these seats.
    pub fn silence(&mut self, epoch: u64, seats: SeatMask) {
        self.epoch = self.epoch.max(epoch);
        for (seat, spoke) in self.spoke.iter_mut().enumerate() {
            spoke.take_if(|_| seats >> seat & 1 == 1);
        }
        self.mixer.silence(seats);
    }

    /// Time has passed.
    pub fn turn(&mut self, now: Time) {
        let (group, at) = self.last;
        let ticks = now.since(at).saturating_sub(self.slack()).as_micros() / TICK.as_micros();
        self.mixer.advance(group.saturating_add(u64::try_from(ticks).unwrap_or(u64::MAX)));
        self.forgotten = self.mixer.idle() && now.since(at) >= FORGET;
    }

    /// The next packet.
    pub fn poll(&mut self) -> Option<Mixed> {
        let packet = self.mixer.poll()?;
        let last = self.over == Some(packet.last_group());
        Some(Mixed { space: self.space, epoch: self.epoch, packet, last })
    }

    /// When [`Line::turn`] has something to do. `None`: nobody has spoken for long, the line is worth nothing any more.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Time> {
        let (group, at) = self.last;
        match self.mixer.due() {
            _ if self.forgotten => None,
            Some(due) => {
                let ticks = u32::try_from(due.saturating_sub(group)).unwrap_or(u32::MAX);
                Some(at + self.slack() + TICK.saturating_mul(ticks))
            }
            None => Some(at + FORGET),
        }
    }

    /// Everybody who talks is heard in the last tick: it need not wait for what the next one could repair.
    fn complete(&self) -> bool {
        self.talkers().all(|spoke| spoke == self.last.0)
    }

    fn talkers(&self) -> impl Iterator<Item = u64> + '_ {
        self.spoke.iter().flatten().copied().filter(|spoke| self.last.0.saturating_sub(*spoke) <= GONE)
    }

    /// Whether more is to be expected of anybody. Who has not been heard for [`GONE`] ticks is gone.
    fn talking(&self) -> bool {
        self.talkers().next().is_some()
    }

    fn slack(&self) -> Duration {
        if self.talking() { PATIENCE } else { REST }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use spaces_core::codec::{Encoder, EncoderConfig};
    use spaces_core::ids::SeatNo;
    use spaces_core::uplink::Level;

    const SPACE: SpaceId = SpaceId(3);

    /// Ticks of one seat that hums: groups 1,000 to 1,000 + `count`.
    fn hum(count: usize) -> Vec<Arc<[RecordedFrame]>> {
        let mut encoder = Encoder::new(EncoderConfig { dtx: false, ..EncoderConfig::default() }).unwrap();
        let frame = |n: usize| {
            let pcm = core::array::from_fn(|i| ((((n * 960 + i) as f64) * 0.02).sin() * 9_000.0) as i16);
            let mut frame = encoder.encode(&pcm).unwrap().unwrap();
            frame.spurt.end = n + 1 == count;
            let (level, spurt, opus) = (Level(30), frame.spurt, frame.opus);
            Arc::from([RecordedFrame { seat: SeatNo::new(0).unwrap(), generation: 1, level, spurt, opus }])
        };
        (0..count).map(frame).collect()
    }

    struct Run {
        line: Line,
        now: Time,
        packets: Vec<(Time, Mixed)>,
    }

    impl Run {
        fn new() -> Self {
            let line = Line::new(SPACE, &MixConfig::default()).unwrap();
            Self { line, now: Time::from_millis(5_000), packets: Vec::new() }
        }

        /// Lets time pass, from timeout to timeout.
        fn pass(&mut self, until: Time) {
            while let Some(at) = self.line.next_timeout().filter(|at| *at <= until) {
                assert!(at >= self.now, "a timeout in the past");
                self.now = at;
                self.line.turn(at);
                self.drain();
                assert!(self.line.next_timeout().is_none_or(|next| next > at), "it stays due");
            }
            self.now = until;
        }

        fn drain(&mut self) {
            while let Some(mixed) = self.line.poll() {
                self.packets.push((self.now, mixed));
            }
        }

        fn say(&mut self, from: u64, ticks: &[Arc<[RecordedFrame]>]) {
            for (group, frames) in (from..).zip(ticks) {
                self.line.tick(self.now, 0, group, frames);
                self.drain();
                self.pass(self.now + TICK);
            }
        }
    }

    #[test]
    fn the_last_words_leave_at_once_and_then_the_mix_rests_without_timers() {
        for count in [1, 2, 3, 4, 50] {
            let mut run = Run::new();
            run.say(1_000, &hum(count));
            let ended = run.now;
            let said: u64 = run.packets.iter().map(|(_, mixed)| u64::from(mixed.packet.ticks)).sum();
            assert_eq!(said, count as u64, "all that was said is out with the last tick");
            let last: Vec<_> = run.packets.iter().map(|(_, mixed)| mixed.last).collect();
            assert_eq!(last.iter().position(|last| *last), Some(count - 1), "and waits for nothing more");
            run.pass(ended + Duration::from_secs(1));
            let (last, mixed) = run.packets.last().unwrap();
            assert!(mixed.packet.spurt.end && last.since(ended) < Duration::from_millis(450));
            assert_eq!(run.line.next_timeout(), Some(run.line.last.1 + FORGET), "nothing to do meanwhile");
            run.pass(ended + Duration::from_secs(40));
            assert_eq!(run.line.next_timeout(), None);
        }
    }

    #[test]
    fn a_packet_leaves_with_its_last_tick_unless_somebody_is_missing_in_it() {
        let mut run = Run::new();
        let ticks = hum(30);
        run.say(1_000, &ticks[..9]);
        let groups: Vec<_> = run.packets.iter().map(|(_, mixed)| mixed.packet.group).collect();
        assert_eq!(groups, (1_000..1_009).collect::<Vec<_>>(), "the ninth tick is out before the tenth comes");
        // Another seat begins, and is lost in a tick: the next one may repair it.
        let both = |n: usize| -> Arc<[RecordedFrame]> {
            let other = RecordedFrame { seat: SeatNo::new(4).unwrap(), ..ticks[n].first().unwrap().clone() };
            ticks[n].iter().cloned().chain([other]).collect()
        };
        for n in 9..11 {
            run.line.tick(run.now, 0, 1_000 + n as u64, &both(n));
        }
        run.line.tick(run.now, 0, 1_011, &ticks[11]);
        run.drain();
        assert_eq!(run.packets.len(), 11);
        run.line.tick(run.now, 0, 1_012, &both(12));
        run.drain();
        assert_eq!(run.packets.len(), 13);
    }

    #[test]
    fn who_falls_silent_without_a_word_is_let_go() {
        let mut run = Run::new();
        run.say(1_000, &hum(50)[..40]);
        let ended = run.now;
        run.pass(ended + Duration::from_secs(2));
        assert!(run.line.mixer.idle());
        assert!(run.packets.last().unwrap().1.packet.spurt.end);
        let groups: Vec<_> = run.packets.iter().map(|(_, mixed)| mixed.packet.group).collect();
        assert!(groups.is_sorted_by(|one, next| one < next));
        // Somebody else does not have to wait for that one.
        run.packets.clear();
        let mut other = hum(10);
        for frames in &mut other {
            *frames = frames.iter().cloned().map(|f| RecordedFrame { seat: SeatNo::new(4).unwrap(), ..f }).collect();
        }
        run.say(1_200, &other);
        let said: u64 = run.packets.iter().map(|(_, mixed)| u64::from(mixed.packet.ticks)).sum();
        assert_eq!(said, 10);
    }

    #[test]
    fn a_stall_of_the_only_speaker_loses_nothing() {
        let mut run = Run::new();
        let ticks = hum(60);
        run.say(1_000, &ticks[..30]);
        run.pass(run.now + Duration::from_millis(120));
        run.say(1_030, &ticks[30..]);
        let said: u64 = run.packets.iter().map(|(_, mixed)| u64::from(mixed.packet.ticks)).sum();
        assert_eq!((said, run.line.mixer.stats().0.concealed_samples), (60, 0));
    }

    #[test]
    fn a_packet_carries_the_last_epoch_that_was_seen_when_it_was_made() {
        let mut run = Run::new();
        run.say(1_000, &hum(30)[..20]);
        assert!(run.packets.iter().all(|(_, mixed)| mixed.epoch == 0 && mixed.packet.seats() == 1));
        run.packets.clear();
        run.line.silence(5, 1);
        run.pass(run.now + Duration::from_secs(1));
        assert!(run.packets.iter().all(|(_, mixed)| mixed.epoch == 5 && mixed.packet.seats() == 0));
        run.line.tick(run.now, 4, 1_100, &hum(1)[0]);
        run.drain();
        assert_eq!(run.packets.last().unwrap().1.epoch, 5);
    }
}
