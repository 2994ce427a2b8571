//! A tap on a Space's seats, for a service of the deployment: the packets of all seats whose captions are allowed.
//!
//! It needs a service token, and asks for every seat at once: the server sends what the stage's table allows at each moment,
//! and says with each packet since which generation its speaker sits there.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::Instant;

use bytes::{Buf, Bytes};
use spaces_core::ids::{MAX_SEATS, SeatNo};
use spaces_core::uplink::{Level, Spurt, UplinkFrame};
use spaces_core::varint;
use spaces_moqt::seam::{SessionEvent, SubscriptionId};

use super::call::{Call, Handle};
use super::destination::{Destination, Resolved};
use super::driver::{Peer, Role};
use super::{ClientError, State, refused};
use crate::connection::Connection;
use crate::endpoint::Endpoint;

/// Frames that wait for the owner; the oldest are dropped over it. 13 seats for 15 s.
const FRAMES: usize = 10_240;

/// One frame of a seat, as the speaker sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TappedFrame {
    /// Whose.
    pub seat: SeatNo,
    /// The seat's generation: with it the stage's table names the speaker.
    pub generation: u32,
    /// The tick.
    pub group: u64,
    /// How loud.
    pub level: Level,
    /// Talkspurt borders.
    pub spurt: Spurt,
    /// The Opus packet of 20 ms.
    pub opus: Bytes,
    /// When, in microseconds of CLOCK_MONOTONIC.
    pub received_at_us: u64,
}

/// What a tap has received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TapStats {
    /// Frames.
    pub frames: u64,
    /// Frames dropped because the owner did not fetch them.
    pub overflowed: u64,
    /// Objects that are no frame.
    pub refused: u64,
    /// The server told us to go.
    pub going_away: bool,
}

#[derive(Default)]
struct Inner {
    frames: VecDeque<TappedFrame>,
    stats: TapStats,
}

/// The handle. Dropping it closes the connection.
pub struct SeatTap {
    handle: Handle<Inner>,
}

impl SeatTap {
    /// Begins to connect. [`SeatTap::state`] tells when it is subscribed.
    ///
    /// # Errors
    /// What can be known at once: URL, name, trust, sockets.
    pub fn connect(destination: &Destination) -> Result<Self, ClientError> {
        let resolved = Arc::new(Resolved::new(destination)?);
        let handle = Handle::connect("spaces-tap", &resolved, Inner::default(), |call| Tap {
            call,
            namespace: resolved.namespace.clone(),
            seats: [None; MAX_SEATS],
            subscribed: 0,
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

    /// Frames since the last call.
    #[must_use]
    pub fn frames(&self) -> Vec<TappedFrame> {
        self.handle.lock().frames.drain(..).collect()
    }

    /// What it has received.
    #[must_use]
    pub fn stats(&self) -> TapStats {
        self.handle.lock().stats
    }

    /// Ends the connection, without waiting. [`State::Over`] follows within a second.
    pub fn close(&self) {
        self.handle.close();
    }
}

/// What the tap's thread does.
struct Tap {
    call: Call<Inner>,
    namespace: Vec<Bytes>,
    seats: [Option<SubscriptionId>; MAX_SEATS],
    subscribed: usize,
}

impl Tap {
    fn seat(&self, id: SubscriptionId) -> Option<SeatNo> {
        let number = self.seats.iter().position(|subscription| *subscription == Some(id))?;
        SeatNo::new(u8::try_from(number).ok()?)
    }

    fn object(&self, seat: SeatNo, group: u64, mut payload: Bytes, now: Instant) {
        let mut inner = self.call.shared.lock();
        let before = payload.len();
        let mut rest = &payload[..];
        let generation = varint::read(&mut rest).and_then(|generation| u32::try_from(generation).ok());
        let used = before - rest.len();
        payload.advance(used);
        let (Some(generation), Ok(frame)) = (generation, UplinkFrame::decode(group, payload)) else {
            inner.stats.refused += 1;
            return;
        };
        inner.stats.frames += 1;
        if inner.frames.len() >= FRAMES {
            inner.frames.pop_front();
            inner.stats.overflowed += 1;
        }
        let UplinkFrame { level, spurt, opus, .. } = frame;
        let received_at_us = self.call.shared.clock.micros(now);
        inner.frames.push_back(TappedFrame { seat, generation, group, level, spurt, opus, received_at_us });
        drop(inner);
        self.call.shared.bell.wake();
    }
}

impl Role for Tap {
    fn opened(&mut self, connection: &mut Connection, peer: &mut Peer) {
        for (number, slot) in self.seats.iter_mut().enumerate() {
            *slot = peer.subscribe(connection, &self.namespace, Bytes::from(format!("seat/{number}")));
        }
    }

    fn event(&mut self, connection: &mut Connection, peer: &mut Peer, event: SessionEvent, now: Instant) {
        match event {
            SessionEvent::Object { id, header, payload, .. } => {
                if let Some(seat) = self.seat(id) {
                    self.object(seat, header.group, payload, now);
                }
            }
            SessionEvent::Subscribed(id) if self.seat(id).is_some() => {
                self.subscribed += 1;
                if self.subscribed == MAX_SEATS {
                    self.call.live();
                }
            }
            SessionEvent::SubscribeRefused { code, reason, .. } => {
                self.call.over(refused(code, reason));
                peer.close(connection);
            }
            SessionEvent::SubscriptionEnded(_) => {
                self.call.over(ClientError::Closed { code: 0, reason: "the seat's track has ended".into() });
                peer.close(connection);
            }
            SessionEvent::SubscribeRequested { id, .. } => peer.reject(connection, id),
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
        match self.call.turn(endpoint) {
            ControlFlow::Continue(_) => true,
            ControlFlow::Break(again) => again,
        }
    }

    fn next_timeout(&self) -> Option<Instant> {
        self.call.deadline()
    }

    fn ended(&mut self, why: ClientError) {
        self.call.over(why);
    }
}
