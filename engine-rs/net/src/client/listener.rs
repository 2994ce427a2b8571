//! A listener: the stage's frames or the mix's packets as they come, or their sound; and captions.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use spaces_core::bundle::entries;
use spaces_core::engine::Tier;
use spaces_core::ids::SeatNo;
use spaces_core::playout::{FRAME, PlayoutConfig, PlayoutStats};
use spaces_core::time::{TICK, Time};
use spaces_core::uplink::{Level, Spurt};
use spaces_moqt::seam::{SessionEvent, SubscriptionId};

use super::arrivals::{Arrival, Arrivals};
use super::call::{Call, Handle, Shared};
use super::destination::{Destination, Resolved};
use super::driver::{Peer, Role};
use super::ears::{Ears, ears};
use super::mixed::Mixed;
use super::reacting::Reacting;
use super::told::{Step, Told};
use super::{ClientError, State, reacting, refused};
use crate::connection::Connection;
use crate::endpoint::Endpoint;

pub use super::ears::Heard;
pub use super::mixed::{HeardMix, ReadLine};

/// Frames that wait for the owner; the oldest are dropped over it. 13 seats for 6 s.
const FRAMES: usize = 4_096;
/// Blocks of 20 ms of mixed sound that wait for the owner; the oldest are dropped over it.
const BLOCKS: usize = 100;

/// How a listener is set up.
#[derive(Clone, Debug)]
pub struct ListenerConfig {
    /// Where.
    pub destination: Destination,
    /// Playout delay of the sound.
    pub playout: PlayoutConfig,
    /// What is heard.
    pub heard: Heard,
    /// Captions, too.
    pub captions: bool,
}

/// One seat's frame of one tick, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeardFrame {
    /// The tick.
    pub group: u64,
    /// Whose.
    pub seat: SeatNo,
    /// How loud.
    pub level: Level,
    /// Talkspurt borders.
    pub spurt: Spurt,
    /// It came as the repetition of a lost one.
    pub redundant: bool,
    /// The Opus packet of 20 ms.
    pub opus: Bytes,
    /// When, in microseconds of CLOCK_MONOTONIC.
    pub received_at_us: u64,
}

/// What a listener has received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListenerStats {
    /// Frames, or packets of the mix; repetitions not counted.
    pub frames: u64,
    /// Repetitions of whole objects.
    pub duplicates: u64,
    /// Redundant copies of frames that had come.
    pub redundant: u64,
    /// Frames missing within talkspurts; of the mix, ticks missing within its sound.
    pub lost: u64,
    /// Frames, packets, lines or blocks dropped because the owner did not fetch them.
    pub overflowed: u64,
    /// Objects that are no bundle, or no packet of the mix.
    pub refused: u64,
    /// Round-trip time, microseconds.
    pub rtt_us: u64,
    /// The server told us to go.
    pub going_away: bool,
    /// What is heard.
    pub tier: Tier,
    /// Times that this has changed.
    pub changes: u64,
    /// The mixed sound's, once it was asked for.
    pub playout: PlayoutStats,
}

struct Inner {
    /// What is played, or would be.
    tier: Tier,
    /// What is to be played.
    wanted: Tier,
    save_data: bool,
    playout: PlayoutConfig,
    frames: VecDeque<HeardFrame>,
    /// The owner wants frames.
    want_frames: bool,
    blocks: VecDeque<Vec<i16>>,
    /// When the next block is to be mixed; `None`: the owner wants none.
    next_block: Option<Instant>,
    ears: Option<Ears>,
    mixed: Mixed,
    arrivals: Arrivals,
    /// Of each seat: the newest group in a talkspurt.
    newest: [Option<u64>; spaces_core::ids::MAX_SEATS],
    stats: ListenerStats,
    reactions: Vec<u8>,
}

impl Inner {
    fn ears(&mut self) -> &mut Ears {
        let ears = self.ears.get_or_insert_with(|| ears(self.tier, self.playout));
        ears.want(self.wanted);
        ears
    }
}

impl Inner {
    /// Something came on the track of `tier`. Without sound that is played, that is all there is to a change.
    fn came(&mut self, tier: Tier) {
        if self.ears.is_none() && tier == self.wanted {
            self.playing(tier);
        }
    }

    fn playing(&mut self, tier: Tier) {
        if core::mem::replace(&mut self.tier, tier) != tier {
            self.stats.changes += 1;
        }
    }
}

fn time(shared: &Shared<Inner>, at: Instant) -> Time {
    Time(shared.clock.micros(at))
}

/// The handle. Dropping it closes the connection.
pub struct Listener {
    handle: Handle<Inner>,
}

impl Listener {
    /// Begins to connect. [`Listener::state`] tells when it is subscribed.
    ///
    /// # Errors
    /// What can be known at once: URL, name, trust, sockets.
    pub fn connect(config: &ListenerConfig) -> Result<Self, ClientError> {
        let resolved = Arc::new(Resolved::new(&config.destination)?);
        let inner = Inner {
            tier: config.heard.first(),
            wanted: config.heard.first(),
            save_data: matches!(config.heard, Heard::Told { save_data: true }),
            playout: config.playout,
            frames: VecDeque::new(),
            want_frames: false,
            blocks: VecDeque::new(),
            next_block: None,
            ears: None,
            mixed: Mixed::default(),
            arrivals: Arrivals::default(),
            newest: [None; spaces_core::ids::MAX_SEATS],
            stats: ListenerStats::default(),
            reactions: Vec::new(),
        };
        let handle = Handle::connect("spaces-listener", &resolved, inner, |call| Hear {
            call,
            namespace: resolved.namespace.clone(),
            reacting: Reacting::new(&resolved.namespace),
            told: Told::new(config.heard),
            captions: config.captions,
            lines: None,
            next_block: None,
        })?;
        Ok(Self { handle })
    }

    /// An eventfd that becomes readable when something changed.
    #[must_use]
    pub fn bell_fd(&self) -> RawFd {
        self.handle.bell_fd()
    }

    /// Makes it unreadable again. Call this before looking.
    pub fn clear_bell(&self) {
        self.handle.clear_bell();
    }

    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> State {
        self.handle.state()
    }

    /// Frames since the last call; the first call asks for them.
    #[must_use]
    pub fn frames(&self) -> Vec<HeardFrame> {
        let mut inner = self.handle.lock();
        inner.want_frames = true;
        inner.frames.drain(..).collect()
    }

    /// Packets of the mix since the last call; the first call asks for them.
    #[must_use]
    pub fn packets(&self) -> Vec<HeardMix> {
        self.handle.lock().mixed.take_packets()
    }

    /// Captions since the last call.
    #[must_use]
    pub fn lines(&self) -> Vec<ReadLine> {
        self.handle.lock().mixed.take_lines()
    }

    /// The sound that a sound card plays now. Call it at the pace of playing.
    pub fn pull(&self, out: &mut [i16]) {
        let now = time(&self.handle.shared, Instant::now());
        self.handle.lock().ears().pull(now, out);
    }

    /// Blocks of 20 ms of sound since the last call, mixed in real time; the first call begins it.
    #[must_use]
    pub fn blocks(&self) -> Vec<Vec<i16>> {
        let mut inner = self.handle.lock();
        if inner.next_block.is_none() {
            inner.next_block = Some(Instant::now());
            self.handle.wake();
        }
        inner.blocks.drain(..).collect()
    }

    /// Whether the mix is heard whenever it may be had. Counts only with [`Heard::Told`].
    pub fn save_data(&self, on: bool) {
        self.handle.lock().save_data = on;
        self.handle.wake();
    }

    /// Reacts. Whether it counts is the server's to say, and not told here.
    ///
    /// # Errors
    /// Why the listener is over.
    pub fn react(&self, kind: u8) -> Result<(), ClientError> {
        let mut inner = self.handle.lock();
        inner.state.check()?;
        reacting::put(&mut inner.reactions, kind);
        drop(inner);
        self.handle.wake();
        Ok(())
    }

    /// What it has received.
    #[must_use]
    pub fn stats(&self) -> ListenerStats {
        let inner = self.handle.lock();
        let mut stats = inner.stats;
        if let Some(ears) = &inner.ears {
            stats.playout = ears.stats();
        }
        stats.tier = inner.tier;
        stats
    }

    /// Ends the connection, without waiting. [`State::Over`] follows within a second.
    pub fn close(&self) {
        self.handle.close();
    }
}

/// What the listener's thread does.
struct Hear {
    call: Call<Inner>,
    namespace: Vec<Bytes>,
    reacting: Reacting,
    told: Told,
    captions: bool,
    /// Subscription to `captions`.
    lines: Option<SubscriptionId>,
    next_block: Option<Instant>,
}

impl Hear {
    fn object(&self, group: u64, payload: &Bytes, now: Instant) {
        let mut held = self.call.shared.lock();
        let inner: &mut Inner = &mut held;
        if let Some(ears) = &mut inner.ears {
            ears.push_stage(time(&self.call.shared, now), group, payload);
        }
        inner.came(Tier::Stage);
        let received_at_us = self.call.shared.clock.micros(now);
        for entry in entries(payload) {
            let Ok(entry) = entry else {
                inner.stats.refused += 1;
                break;
            };
            let group = group.saturating_sub(u64::from(entry.redundant));
            match inner.arrivals.note(group, entry.seat) {
                Arrival::New => {}
                Arrival::Again if entry.redundant => {
                    inner.stats.redundant += 1;
                    continue;
                }
                Arrival::Again | Arrival::Old => {
                    inner.stats.duplicates += 1;
                    continue;
                }
            }
            inner.stats.frames += 1;
            if let Some(newest) = inner.newest.get_mut(entry.seat.index()) {
                match *newest {
                    // Came out of order, after it had been counted as lost.
                    Some(last) if group < last => inner.stats.lost = inner.stats.lost.saturating_sub(1),
                    Some(last) if !entry.spurt.start => inner.stats.lost += group - last - 1,
                    _ => {}
                }
                *newest = if entry.spurt.end { None } else { Some(newest.map_or(group, |last| last.max(group))) };
            }
            if !inner.want_frames {
                continue;
            }
            if inner.frames.len() >= FRAMES {
                inner.frames.pop_front();
                inner.stats.overflowed += 1;
            }
            inner.frames.push_back(HeardFrame {
                group,
                seat: entry.seat,
                level: entry.level,
                spurt: entry.spurt,
                redundant: entry.redundant,
                opus: payload.slice_ref(entry.opus),
                received_at_us,
            });
        }
        if inner.want_frames {
            self.call.shared.bell.wake();
        }
    }

    fn packet(&self, group: u64, payload: &Bytes, now: Instant) {
        let mut held = self.call.shared.lock();
        let inner: &mut Inner = &mut held;
        let received_at_us = self.call.shared.clock.micros(now);
        let Some(packet) = inner.mixed.object(group, payload, received_at_us, &mut inner.stats) else { return };
        if let Some(ears) = &mut inner.ears {
            ears.push_mix(time(&self.call.shared, now), packet);
        }
        inner.came(Tier::Mix);
        if inner.mixed.want_packets {
            self.call.shared.bell.wake();
        }
    }

    fn line(&self, group: u64, line: Bytes, now: Instant) {
        let mut held = self.call.shared.lock();
        let inner: &mut Inner = &mut held;
        inner.mixed.line(group, line, self.call.shared.clock.micros(now), &mut inner.stats);
        self.call.shared.bell.wake();
    }

    /// Subscribes to what is to be heard and gives up what is not heard any more.
    fn follow(&mut self, connection: &mut Connection, peer: &mut Peer) {
        let mut held = self.call.shared.lock();
        let inner: &mut Inner = &mut held;
        self.told.save_data(inner.save_data);
        inner.wanted = self.told.wanted();
        if let Some(ears) = &mut inner.ears {
            ears.want(inner.wanted);
            let playing = ears.playing();
            inner.playing(playing);
        }
        let namespace = &self.namespace;
        while let Some(step) = self.told.step(inner.tier) {
            match step {
                Step::Subscribe(Tier::Stage) => peer.subscribe_stage(connection, namespace),
                Step::Subscribe(Tier::Mix) => {
                    self.told.mix = peer.subscribe(connection, namespace, Bytes::from_static(b"mix"));
                }
                Step::Unsubscribe(Tier::Stage) => {
                    for id in core::mem::take(&mut peer.stage).into_iter().flatten() {
                        peer.unsubscribe(connection, id);
                    }
                }
                Step::Unsubscribe(Tier::Mix) => {
                    if let Some(id) = self.told.mix.take() {
                        peer.unsubscribe(connection, id);
                    }
                }
            }
        }
    }

    /// A track is not to be had.
    fn lose(&mut self, connection: &mut Connection, peer: &mut Peer, tier: Tier) {
        self.told.mix.take_if(|_| tier == Tier::Mix);
        self.told.refused(tier);
        self.follow(connection, peer);
    }

    /// Mixes what is due.
    fn play(&mut self, now: Instant) {
        let mut held = self.call.shared.lock();
        let inner: &mut Inner = &mut held;
        while let Some(at) = inner.next_block.filter(|at| *at <= now) {
            let mut block = vec![0; FRAME];
            inner.ears().pull(time(&self.call.shared, at), &mut block);
            if inner.blocks.len() >= BLOCKS {
                inner.blocks.pop_front();
                inner.stats.overflowed += 1;
            }
            inner.blocks.push_back(block);
            inner.next_block = Some(at + TICK);
            self.call.shared.bell.wake();
        }
        self.next_block = inner.next_block;
    }
}

impl Role for Hear {
    fn opened(&mut self, connection: &mut Connection, peer: &mut Peer) {
        self.follow(connection, peer);
        if self.told.follows() {
            self.told.state = peer.subscribe(connection, &self.namespace, Bytes::from_static(b"state"));
        }
        if self.captions {
            self.lines = peer.subscribe(connection, &self.namespace, Bytes::from_static(b"captions"));
        }
    }

    fn event(&mut self, connection: &mut Connection, peer: &mut Peer, event: SessionEvent, now: Instant) {
        let [stage, overflow] = peer.stage;
        let (mix, lines) = (self.told.mix, self.lines);
        let of = |id: SubscriptionId| match Some(id) {
            id if id == stage => Some(Tier::Stage),
            id if id == mix => Some(Tier::Mix),
            _ => None,
        };
        match event {
            SessionEvent::Object { id, header, payload, .. } if Some(id) == stage || Some(id) == overflow => {
                self.object(header.group, &payload, now);
            }
            SessionEvent::Object { id, header, payload, .. } if Some(id) == mix => {
                self.packet(header.group, &payload, now);
            }
            SessionEvent::Object { id, header, payload, .. } if Some(id) == lines => {
                self.line(header.group, payload, now);
            }
            SessionEvent::Object { id, payload, .. } if Some(id) == self.told.state => {
                self.told.state(&payload);
                self.follow(connection, peer);
            }
            SessionEvent::Subscribed(id) if of(id).is_some() => {
                self.call.live();
            }
            // One of the two may be missing, as long as there is the other.
            SessionEvent::SubscribeRefused { id, .. } if self.told.follows() && Some(id) == mix => {
                self.lose(connection, peer, Tier::Mix);
            }
            SessionEvent::SubscriptionEnded(id) if self.told.follows() && Some(id) == mix => {
                self.lose(connection, peer, Tier::Mix);
            }
            SessionEvent::SubscribeRefused { id, code, reason } if of(id).is_some() || Some(id) == lines => {
                self.call.over(refused(code, reason));
                peer.close(connection);
            }
            SessionEvent::SubscriptionEnded(id) if of(id).is_some() => {
                self.call.over(ClientError::Closed { code: 0, reason: "the track has ended".into() });
                peer.close(connection);
            }
            SessionEvent::SubscribeRequested { id, name } => {
                let ours = self.reacting.requested(connection, peer, id, &name);
                if !ours {
                    peer.reject(connection, id);
                }
            }
            SessionEvent::SubscribeCancelled(id) => self.reacting.cancelled(id),
            SessionEvent::GoAway { .. } => {
                self.call.shared.lock().stats.going_away = true;
                self.call.shared.bell.wake();
            }
            _ => {}
        }
    }

    fn closed(&mut self, _key: u32, _peer: &Peer, why: ClientError) {
        self.call.gone();
        self.call.over(why);
    }

    fn turn(&mut self, endpoint: &mut Endpoint<Peer>) -> bool {
        let key = match self.call.turn(endpoint) {
            ControlFlow::Continue(key) => key,
            ControlFlow::Break(again) => {
                self.next_block = None;
                return again;
            }
        };
        self.play(Instant::now());
        let live = self.call.shared.lock().state == State::Live;
        if let Some((connection, peer)) = endpoint.connections.get_mut(key).filter(|_| live) {
            self.follow(connection, peer);
        }
        let mut inner = self.call.shared.lock();
        if let Some((connection, _)) = endpoint.connections.get(key) {
            inner.stats.rtt_us = u64::try_from(connection.rtt().as_micros()).unwrap_or(u64::MAX);
        }
        if inner.state == State::Live
            && !inner.reactions.is_empty()
            && let Some((connection, peer)) = endpoint.connections.get_mut(key)
        {
            self.reacting.send(connection, peer, &mut inner.reactions);
        }
        true
    }

    fn next_timeout(&self) -> Option<Instant> {
        self.next_block.into_iter().chain(self.call.deadline()).min()
    }

    fn ended(&mut self, why: ClientError) {
        self.call.over(why);
    }
}
