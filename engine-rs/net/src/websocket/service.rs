//! A shard's WebSockets: taken in, read, written and closed by turns.
//!
//! One epoll instance holds all their sockets; its own descriptor is one more that the shard's loop waits for.

use std::collections::VecDeque;
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustls::ServerConfig;
use spaces_core::engine::{Object, Purge, Sent};
use spaces_core::refusal::Refusal;
use spaces_moqt::seam::{ObjectHeader, Protocol};
use tungstenite::http::StatusCode;

use super::connection::{Connection, Heard};
use super::qmux::Told;
use super::upgrade::Upgrade;
use super::{Limits, tcp};
use crate::downlink::{DownlinkStats, is_datagram};
use crate::endpoint::Answer;
use crate::link::Link;
use crate::peer::Peer;
use crate::session::Desk;
use crate::visitors::{Visitors, Welcome};

/// The listener's name among the sockets.
const LISTENER: u64 = u64::MAX;
/// Connections taken in, and TLS handshakes begun with them, in a turn.
const ACCEPTS: usize = 8;
/// Sockets heard of in a turn.
const EVENTS: usize = 256;
/// How long a turn writes; who has not had its turn by then has it first in the next. Listeners over QUIC wait no longer.
const WRITING: Duration = Duration::from_millis(2);
/// How long a peer may take from its first byte to its session.
const OPENING: Duration = Duration::from_secs(8);
/// How often deadlines are looked at.
const HOUSEKEEPING: Duration = Duration::from_millis(250);
/// How long the kernel may take to send what it holds before a connection that holds silenced sound is reset.
const LAST_CALL: Duration = Duration::from_millis(1);

/// What a shard's WebSockets have done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WebSocketStats {
    /// Open now, those that are not yet WebSockets included.
    pub connections: u64,
    /// Taken in.
    pub accepted: u64,
    /// Refused: too many at all, or from their address.
    pub refused: u64,
    /// Ended because their peer broke WebSocket or QMux.
    pub broken: u64,
    /// Datagrams that were too large for their peer.
    pub misfits: u64,
    /// Reset because silenced sound could not be taken back.
    pub purge_aborts: u64,
}

struct Slot {
    connection: Connection,
    peer: Option<Peer>,
    /// What is to be spoken once the peer has said what it allows.
    protocol: Option<Protocol>,
    /// Waits for its turn to be written.
    dirty: bool,
    /// epoll tells when it can be written.
    awaited: bool,
}

impl Slot {
    /// Answers a request as the desk says. True: it is a WebSocket now.
    fn grant(&mut self, desk: &mut Desk, upgrade: &Upgrade) -> bool {
        match desk.request(&self.connection.request(upgrade)) {
            Answer::Accept(protocol, peer) => {
                self.protocol = Some(protocol);
                self.peer = Some(peer);
                self.connection.accept(upgrade, protocol)
            }
            Answer::Refuse(status) => {
                self.connection.refuse(StatusCode::from_u16(status.as_u16()).unwrap_or(StatusCode::BAD_REQUEST));
                false
            }
        }
    }
}

/// See the module.
pub(crate) struct WebSockets {
    listener: Option<TcpListener>,
    epoll: OwnedFd,
    tls: Arc<ServerConfig>,
    limits: Arc<Limits>,
    most: usize,
    /// Keys begin here: below are those of QUIC.
    first: u32,
    slots: Vec<Option<Box<Slot>>>,
    free: Vec<u32>,
    dirty: VecDeque<u32>,
    /// Those with more to read.
    eager: Vec<u32>,
    visitors: Visitors,
    housekeeping: Instant,
    now: Instant,
    stats: WebSocketStats,
}

impl WebSockets {
    /// Serves what `listener` takes; keys of its sessions are `first` and above.
    ///
    /// # Errors
    /// Out of file descriptors.
    pub(crate) fn new(
        listener: Option<TcpListener>,
        tls: Arc<ServerConfig>,
        limits: Limits,
        first: u32,
    ) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        if let Some(listener) = &listener {
            epoll::add(&epoll, listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
        }
        let now = Instant::now();
        Ok(Self {
            listener,
            epoll,
            tls,
            visitors: Visitors::new(limits.per_address),
            most: limits.connections,
            limits: Arc::new(limits),
            first,
            slots: Vec::new(),
            free: Vec::new(),
            dirty: VecDeque::new(),
            eager: Vec::new(),
            housekeeping: now,
            now,
            stats: WebSocketStats::default(),
        })
    }

    /// Is this the key of one of these?
    pub(crate) fn owns(&self, key: u32) -> bool {
        key >= self.first
    }

    /// Readable when there is something to do.
    pub(crate) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        (self.listener.is_some() || !self.is_empty()).then(|| self.epoll.as_fd())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Connections, those that are not yet WebSockets included.
    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// So many may connect from now on.
    pub(crate) fn share(&mut self, connections: usize, per_address: u32) {
        self.most = connections;
        self.visitors.set_rate(per_address);
    }

    pub(crate) fn stats(&self) -> WebSocketStats {
        WebSocketStats { connections: self.len() as u64, ..self.stats }
    }

    /// Connections that begin from now on get this certificate.
    pub(crate) fn set_tls(&mut self, tls: Arc<ServerConfig>) {
        self.tls = tls;
    }

    /// Takes in nobody any more.
    pub(crate) fn stop_listening(&mut self) {
        if let Some(listener) = self.listener.take() {
            let _ = epoll::delete(&self.epoll, &listener); // with the listener it would go anyway
        }
    }

    /// Keys of all that have a session.
    pub(crate) fn keys(&self) -> Vec<u32> {
        let with_peer = |slot: &Option<Box<Slot>>| slot.as_deref().is_some_and(|slot| slot.peer.is_some());
        (self.first..).zip(&self.slots).filter(|(_, slot)| with_peer(slot)).map(|(key, _)| key).collect()
    }

    fn slot(&mut self, key: u32) -> Option<&mut Slot> {
        self.slots.get_mut(key.checked_sub(self.first)? as usize)?.as_deref_mut()
    }

    /// The slot, to be used: what it has to send leaves at the end of this turn.
    fn touch(&mut self, key: u32) -> Option<&mut Slot> {
        let index = key.checked_sub(self.first)? as usize;
        let slot = self.slots.get_mut(index)?.as_deref_mut()?;
        slot.connection.now = self.now;
        if !std::mem::replace(&mut slot.dirty, true) {
            self.dirty.push_back(key);
        }
        Some(slot)
    }

    /// A connection and its session, to be used.
    pub(crate) fn get_mut(&mut self, key: u32) -> Option<(&mut dyn Link, &mut Peer)> {
        let slot = self.touch(key)?;
        Some((&mut slot.connection, slot.peer.as_mut()?))
    }

    /// When there is something to do without anything coming in.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        if !self.eager.is_empty() || !self.dirty.is_empty() {
            return Some(self.now);
        }
        (!self.is_empty()).then_some(self.housekeeping)
    }

    /// The first half of a turn: what has come in, and deadlines.
    pub(crate) fn receive(&mut self, desk: &mut Desk, now: Instant) {
        self.now = now;
        for key in std::mem::take(&mut self.eager) {
            self.read(desk, key);
        }
        if self.descriptor().is_some() {
            let mut events = Vec::<Event>::with_capacity(EVENTS);
            let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
            // Fails only when a signal comes first; the next turn hears of the same.
            let _ = epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), Some(&at_once));
            for event in events {
                match event.data.u64() {
                    LISTENER => self.accept(),
                    key => self.on_event(desk, u32::try_from(key).unwrap_or(u32::MAX), event.flags),
                }
            }
        }
        if now >= self.housekeeping {
            self.housekeeping = now + HOUSEKEEPING;
            for index in 0..self.slots.len() {
                let key = self.first + u32::try_from(index).unwrap_or(0);
                self.keep_house(desk, key);
            }
        }
    }

    fn keep_house(&mut self, desk: &mut Desk, key: u32) {
        let now = self.now;
        let Some(slot) = self.slot(key) else { return };
        slot.connection.now = now;
        slot.connection.keep_house(OPENING);
        self.tell(desk, key);
        self.bury(desk, key);
    }

    fn accept(&mut self) {
        for _ in 0..ACCEPTS {
            let Some(Ok((stream, remote))) = self.listener.as_ref().map(TcpListener::accept) else { return };
            let full = self.len() >= self.most;
            // Behind a proxy everybody has its address, and it is the proxy that counts.
            let welcome = if self.limits.plain {
                Welcome::Yes
            } else {
                self.visitors.attempt(self.now, remote.ip(), true, false)
            };
            if full || welcome != Welcome::Yes {
                self.stats.refused += 1;
                tcp::reset_on_drop(&stream);
                continue;
            }
            let index = self.free.pop().unwrap_or_else(|| {
                self.slots.push(None);
                u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
            });
            let key = self.first + index;
            let (limits, tls) = (Arc::clone(&self.limits), Arc::clone(&self.tls));
            let flags = EventFlags::IN | EventFlags::RDHUP;
            let connection = Connection::new(key, (stream, remote), limits, tls, self.now).and_then(|connection| {
                if let Some(stream) = connection.stream() {
                    epoll::add(&self.epoll, stream, EventData::new_u64(key.into()), flags)?;
                }
                Ok(connection)
            });
            match (connection, self.slots.get_mut(index as usize)) {
                (Ok(connection), Some(slot)) => {
                    self.stats.accepted += 1;
                    *slot =
                        Some(Box::new(Slot { connection, peer: None, protocol: None, dirty: false, awaited: false }));
                }
                _ => self.free.push(index), // gone before it was greeted
            }
        }
    }

    fn on_event(&mut self, desk: &mut Desk, key: u32, flags: EventFlags) {
        if flags.contains(EventFlags::OUT) {
            self.touch(key);
        }
        if flags.intersects(EventFlags::IN | EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR) {
            self.read(desk, key);
        }
    }

    fn read(&mut self, desk: &mut Desk, key: u32) {
        let Some(slot) = self.touch(key) else { return };
        let mut heard = slot.connection.read();
        if let Heard::Request(upgrade) = &heard
            && slot.grant(desk, upgrade)
        {
            heard = slot.connection.read(); // what came with the request
        }
        if matches!(heard, Heard::More) {
            self.eager.push(key);
        }
        self.tell(desk, key);
        self.bury(desk, key);
    }

    /// Carries what has happened to the session, until nothing happens any more.
    fn tell(&mut self, desk: &mut Desk, key: u32) {
        while let Some(slot) = self.slot(key) {
            let Some(told) = slot.connection.qmux.poll() else { return };
            let (connection, peer) = (&mut slot.connection, slot.peer.as_mut());
            match (told, peer) {
                (Told::Open, Some(peer)) => {
                    if let Some(protocol) = slot.protocol.take() {
                        desk.open(connection, peer, protocol);
                    }
                }
                (Told::Incoming(incoming), Some(peer)) => desk.incoming(connection, peer, incoming),
                (Told::Closed(closed), _) => {
                    if let Some(peer) = slot.peer.take() {
                        desk.closed(key, &peer, &closed);
                    }
                }
                (_, None) => {}
            }
            self.touch(key);
        }
    }

    /// Forgets a connection that is gone.
    fn bury(&mut self, desk: &mut Desk, key: u32) {
        if self.slot(key).is_none_or(|slot| !slot.connection.is_gone()) {
            return;
        }
        self.tell(desk, key);
        let index = key - self.first;
        if let Some(slot) = self.slots.get_mut(index as usize).and_then(Option::take) {
            // With its socket it leaves epoll.
            self.stats.broken += u64::from(slot.connection.qmux.is_broken());
            self.stats.misfits += slot.connection.qmux.misfits();
            self.free.push(index);
        }
    }

    /// The second half of a turn, after QUIC's packets have left.
    pub(crate) fn transmit(&mut self, desk: &mut Desk) {
        let began = Instant::now();
        let mut written = 0u32;
        while let Some(key) = self.dirty.pop_front() {
            self.tell(desk, key); // what its own calls made
            let Some(slot) = self.slot(key) else { continue };
            slot.dirty = false;
            slot.connection.write();
            let wanted = slot.connection.blocked;
            if wanted != slot.awaited {
                slot.awaited = wanted;
                let flags = EventFlags::IN | EventFlags::RDHUP;
                let flags = if wanted { flags | EventFlags::OUT } else { flags };
                let epoll = self.epoll.as_fd();
                let index = (key - self.first) as usize;
                if let Some(stream) = self.slots.get(index).and_then(|slot| slot.as_deref()?.connection.stream()) {
                    let _ = epoll::modify(epoll, stream, EventData::new_u64(key.into()), flags);
                }
            }
            self.bury(desk, key);
            written += 1;
            if written.is_multiple_of(16) && began.elapsed() > WRITING {
                return;
            }
        }
    }

    /// One object to one listener.
    pub(crate) fn send(&mut self, key: u32, object: &Object, stats: &mut DownlinkStats) -> Sent {
        // A session or subscription that is gone takes everything: its cursor must not wait for it.
        let Some(Slot { connection, peer: Some(peer), .. }) = self.touch(key) else { return Sent::Yes };
        let Some(subscription) = peer.subscription(object.track) else { return Sent::Yes };
        let Some(protocol) = peer.protocol.as_mut() else { return Sent::Yes };
        let header = ObjectHeader {
            group: object.group,
            object: object.object,
            end_of_group: object.end_of_group,
            timestamp: object.timestamp,
        };
        if !is_datagram(object.track) {
            protocol.send_object(connection, subscription, &header, &object.payload);
            stats.stream_objects += 1;
            return Sent::Yes;
        }
        // Not shared among listeners as over QUIC: each message is copied into its socket's buffer anyway.
        let mut framed = BytesMut::with_capacity(object.payload.len() + 32);
        if !protocol.datagram_header(subscription, &header, &mut framed) {
            return Sent::Yes;
        }
        framed.extend_from_slice(&object.payload);
        if connection.send_datagram(framed.freeze()) {
            stats.datagrams += 1;
            Sent::Yes
        } else {
            stats.blocked += 1;
            Sent::Blocked
        }
    }

    /// Takes back what is silenced; `purged`: those whose sockets may hold some of it.
    pub(crate) fn purge(&mut self, key: u32, purge: Purge, purged: &mut Vec<u32>) {
        let Some(Slot { connection, peer: Some(peer), .. }) = self.touch(key) else { return };
        peer.purge_groups(connection, purge);
        if !connection.take_back(purge.sound != 0) {
            purged.push(key);
        }
    }

    /// Sees to it that nothing silenced leaves any more: what the socket holds is sent now, or never.
    pub(crate) fn expel(&mut self, keys: &[u32], desk: &mut Desk) {
        if keys.is_empty() {
            return;
        }
        for key in keys {
            if let Some(slot) = self.touch(*key) {
                slot.connection.write();
            }
        }
        std::thread::sleep(LAST_CALL);
        for key in keys {
            if let Some(slot) = self.touch(*key)
                && !slot.connection.take_back(false)
            {
                slot.connection.abort("a silenced frame could not be taken back");
                self.stats.purge_aborts += 1;
                self.bury(desk, *key);
            }
        }
    }

    /// What each session's path did, and whose time to be admitted is over: each second.
    pub(crate) fn report(&mut self, desk: &mut Desk, part: usize, parts: usize, now: Instant, patience: Duration) {
        for index in (part..self.slots.len()).step_by(parts.max(1)) {
            let key = self.first + u32::try_from(index).unwrap_or(0);
            let Some(Slot { connection, peer: Some(peer), .. }) = self.slot(key) else { continue };
            if peer.overdue(now, patience) {
                desk.stats.overdue += 1;
                peer.refuse(connection, Refusal::AuthTokenMissing);
                self.touch(key);
            } else if let Some(feedback) = peer.feedback(connection) {
                desk.engine.feedback(desk.now, spaces_core::ids::SessionKey(key), feedback);
            }
        }
    }
}
