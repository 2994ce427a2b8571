//! Congestion control for audio: NewReno (RFC 9002 §7) with a floor of what the media itself needs, and a circuit breaker
//! (after RFC 8083) that takes the floor away from a path which keeps losing.
//!
//! Audio is application-limited and constant-rate: a window below its rate adds delay and gains nothing for the path, because
//! the frames are dropped or late instead. So the window never falls under `rate × (srtt + max_ack_delay) × 1.25` unless more
//! than a tenth of all bytes has been lost for five seconds on end.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use quinn_proto::RttEstimator;
use quinn_proto::congestion::{Controller, ControllerFactory};

/// Media rate assumed before anything is measured, and least, in bytes a second: one Opus stream with its overhead.
const LEAST_RATE: u64 = 12_000;
/// Most that the floor grants, in bytes a second: a full bundle and its second part at every tick.
const MOST_RATE: u64 = 2 * 1_200 * 50;
/// Longest round trip that the floor grants; beyond it, the path is queueing.
const MOST_DELAY: Duration = Duration::from_millis(800);
/// Bad seconds in a row that trip the breaker, and good ones that close it again.
const SECONDS: u8 = 5;

/// Opens every window for as long as it is set: `poll_transmit` then sends what waits for congestion or pacing. One per
/// endpoint, used on its thread only.
pub(crate) type Lift = Arc<AtomicBool>;

/// Makes a controller for each path.
pub(crate) struct AudioFactory {
    /// See [`Lift`].
    pub(crate) lift: Lift,
    /// How long the peer may hold back an ACK.
    pub(crate) max_ack_delay: Duration,
}

impl ControllerFactory for AudioFactory {
    fn build(self: Arc<Self>, now: Instant, current_mtu: u16) -> Box<dyn Controller> {
        Box::new(AudioController::new(now, current_mtu, Arc::clone(&self.lift), self.max_ack_delay))
    }
}

/// Bytes of the current second, and what earlier seconds said.
#[derive(Clone, Copy, Debug)]
struct Seconds {
    began: Instant,
    sent: u64,
    lost: u64,
    /// Sent in the last whole second.
    rate: u64,
    bad: u8,
    good: u8,
    tripped: bool,
}

impl Seconds {
    fn roll(&mut self, now: Instant) {
        if now.saturating_duration_since(self.began) < Duration::from_secs(1) {
            return;
        }
        let bad = self.lost * 10 > self.sent;
        (self.bad, self.good) = if bad { (self.bad.saturating_add(1), 0) } else { (0, self.good.saturating_add(1)) };
        if self.bad >= SECONDS {
            self.tripped = true;
        } else if self.good >= SECONDS {
            self.tripped = false;
        }
        (self.rate, self.sent, self.lost, self.began) = (self.sent, 0, 0, now);
    }
}

/// How much may be in flight; RFC 9002 §7 with the floor.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    mtu: u64,
    bytes: u64,
    threshold: u64,
    acked: u64,
    max_ack_delay: Duration,
    /// Smoothed round-trip time, as its owner measures it.
    pub(crate) rtt: Duration,
    seconds: Seconds,
}

impl Window {
    /// RFC 9002 §7.2.
    pub(crate) fn new(now: Instant, mtu: u16, max_ack_delay: Duration) -> Self {
        let seconds = Seconds { began: now, sent: 0, lost: 0, rate: 0, bad: 0, good: 0, tripped: false };
        let mtu = u64::from(mtu);
        let bytes = initial(mtu);
        let rtt = Duration::from_millis(333);
        Self { mtu, bytes, threshold: u64::MAX, acked: 0, max_ack_delay, rtt, seconds }
    }

    const fn least(&self) -> u64 {
        2 * self.mtu
    }

    fn floor(&self) -> u64 {
        if self.seconds.tripped {
            return self.least();
        }
        let rate = self.seconds.rate.max(self.seconds.sent).clamp(LEAST_RATE, MOST_RATE);
        let delay = self.rtt.min(MOST_DELAY) + self.max_ack_delay;
        // quinn-proto asks for a whole packet's room before it sends a small one.
        rate * delay.as_micros() as u64 / 1_000_000 * 5 / 4 + self.least()
    }

    /// Bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.max(self.floor())
    }

    pub(crate) fn on_sent(&mut self, now: Instant, bytes: u64) {
        self.seconds.roll(now);
        self.seconds.sent += bytes;
    }

    /// Acknowledged while the sender had no more to send.
    pub(crate) fn on_ack(&mut self, now: Instant) {
        self.seconds.roll(now);
    }

    /// Acknowledged while the window was full, and sent after the last loss.
    fn grow(&mut self, bytes: u64) {
        if self.bytes < self.threshold {
            self.bytes += bytes;
            return;
        }
        self.acked += bytes;
        if self.acked >= self.bytes {
            self.acked -= self.bytes;
            self.bytes += self.mtu;
        }
    }

    /// `fresh`: sent after the last loss.
    pub(crate) fn on_lost(&mut self, now: Instant, fresh: bool, bytes: u64) {
        self.seconds.roll(now);
        self.seconds.lost += bytes;
        if fresh {
            self.shrink((self.bytes / 2).max(self.least()));
        }
    }

    /// A whole window is lost, because nothing is heard any more: the breaker trips at once (RFC 8083 §4.1).
    pub(crate) fn on_silence(&mut self, now: Instant, bytes: u64) {
        self.seconds.roll(now);
        self.seconds.lost += bytes;
        (self.seconds.tripped, self.seconds.good) = (true, 0);
        self.shrink(self.least());
    }

    fn shrink(&mut self, bytes: u64) {
        (self.bytes, self.threshold, self.acked) = (bytes, bytes, 0);
    }
}

/// RFC 9002 §7.2.
fn initial(mtu: u64) -> u64 {
    (10 * mtu).min((2 * mtu).max(14_720))
}

#[derive(Clone)]
struct AudioController {
    lift: Lift,
    window: Window,
    recovery_since: Instant,
}

impl AudioController {
    fn new(now: Instant, mtu: u16, lift: Lift, max_ack_delay: Duration) -> Self {
        Self { lift, window: Window::new(now, mtu, max_ack_delay), recovery_since: now }
    }
}

impl Controller for AudioController {
    fn on_sent(&mut self, now: Instant, bytes: u64, _last_packet_number: u64) {
        self.window.on_sent(now, bytes);
    }

    fn on_ack(&mut self, now: Instant, sent: Instant, bytes: u64, app_limited: bool, rtt: &RttEstimator) {
        self.window.on_ack(now);
        self.window.rtt = rtt.get();
        if !app_limited && sent > self.recovery_since {
            self.window.grow(bytes);
        }
    }

    fn on_congestion_event(&mut self, now: Instant, sent: Instant, persistent: bool, lost_bytes: u64) {
        let fresh = sent > self.recovery_since;
        self.window.on_lost(now, fresh, lost_bytes);
        if fresh && persistent {
            self.window.shrink(self.window.least());
        }
        if fresh {
            self.recovery_since = now;
        }
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.window.mtu = u64::from(new_mtu);
        self.window.bytes = self.window.bytes.max(self.window.least());
    }

    fn window(&self) -> u64 {
        if self.lift.load(Ordering::Relaxed) { u64::MAX / 2 } else { self.window.bytes() }
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(self.clone())
    }

    fn initial_window(&self) -> u64 {
        initial(self.window.mtu)
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MTU: u16 = 1_200;

    fn controller(now: Instant) -> AudioController {
        AudioController::new(now, MTU, Lift::default(), Duration::from_millis(25))
    }

    /// Sends 50 packets a second for `seconds`, of which the share `lost` in ten is lost.
    fn run(controller: &mut AudioController, now: &mut Instant, seconds: u32, lost: u32) {
        for n in 0..seconds * 50 {
            controller.on_sent(*now, 300, 0);
            if n % 10 < lost {
                controller.on_congestion_event(*now, *now, false, 300);
            }
            *now += Duration::from_millis(20);
        }
    }

    #[test]
    fn the_window_keeps_room_for_the_measured_rate() {
        let mut now = Instant::now();
        let mut audio = controller(now);
        run(&mut audio, &mut now, 3, 1);
        audio.window.rtt = Duration::from_millis(200);
        // 15,000 B/s × 225 ms × 1.25 and two packets.
        let wanted = 15_000 * 225 / 1_000 * 5 / 4 + 2 * 1_200;
        assert!(audio.window() >= wanted - 300 * 2, "{} < {wanted}", audio.window());
        assert!(audio.window() <= wanted + 1_200, "{} > {wanted}", audio.window());
    }

    #[test]
    fn five_bad_seconds_take_the_floor_away_and_five_good_ones_give_it_back() {
        let mut now = Instant::now();
        let mut audio = controller(now);
        audio.window.rtt = Duration::from_millis(200);
        run(&mut audio, &mut now, 4, 3);
        assert!(audio.window() > 2 * u64::from(MTU));
        run(&mut audio, &mut now, 3, 3);
        assert_eq!(audio.window(), 2 * u64::from(MTU));
        run(&mut audio, &mut now, 7, 0);
        assert!(audio.window() > 2 * u64::from(MTU));
    }

    #[test]
    fn a_huge_round_trip_does_not_grant_a_huge_window() {
        let mut now = Instant::now();
        let mut audio = controller(now);
        run(&mut audio, &mut now, 2, 2);
        audio.window.rtt = Duration::from_secs(30);
        assert!(audio.window() < MOST_RATE * 2);
    }

    #[test]
    fn the_lift_opens_every_window_and_closes_it_again() {
        let now = Instant::now();
        let lift = Lift::default();
        let audio = AudioController::new(now, MTU, Arc::clone(&lift), Duration::from_millis(25));
        let before = audio.window();
        lift.store(true, Ordering::Relaxed);
        assert!(audio.window() > u64::from(u32::MAX));
        lift.store(false, Ordering::Relaxed);
        assert_eq!(audio.window(), before);
    }
}
