//! What uses the connections of an endpoint.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::BorrowedFd;
use std::time::Instant;

use bytes::BytesMut;
use spaces_moqt::seam::Protocol;
use web_transport_proto::http;

use crate::connection::{Closed, Connection, Incoming, Notice, Phase, Request};
use crate::connections::Slot;
use crate::endpoint::Endpoint;

/// What to do with a peer that dialled.
pub enum Answer<S> {
    /// Speak this with it, and keep this with the connection.
    Accept(Protocol, S),
    /// HTTP status; on raw QUIC the connection is closed with it as code.
    Refuse(http::StatusCode),
}

/// What uses the connections of an endpoint. `State` is kept beside each connection.
///
/// Call order for one connection: [`Application::on_request`] (answering end), [`Application::on_open`], any number of
/// [`Application::on_incoming`], [`Application::on_closed`] once. A connection that never opened goes from any point to
/// `on_closed`, on the answering end only if it was accepted.
pub trait Application {
    /// Kept with each connection.
    type State;
    /// A turn begins, and this is its time.
    fn begin(&mut self, now: Instant) {
        let _ = now;
    }
    /// A peer asks for a session.
    fn on_request(&mut self, key: u32, request: &Request) -> Answer<Self::State>;
    /// The session is open.
    fn on_open(&mut self, connection: &mut Connection, state: &mut Self::State, protocol: Protocol);
    /// Something came in.
    fn on_incoming(&mut self, connection: &mut Connection, state: &mut Self::State, incoming: Incoming);
    /// The session is over; its key may be used again soon.
    fn on_closed(&mut self, key: u32, state: Self::State, closed: Closed);
    /// Somebody used the [`Waker`](crate::endpoint::Waker).
    fn on_wake(&mut self, endpoint: &mut Endpoint<Self::State>);
    /// Once a turn, after everything that came in: do what is due.
    fn advance(&mut self, endpoint: &mut Endpoint<Self::State>);
    /// When `advance` has something to do by itself.
    fn next_timeout(&self) -> Option<Instant>;
    /// `advance` has not done all that was due: it is called again as soon as what came in is handled.
    fn is_behind(&self) -> bool {
        false
    }
    /// What the endpoint waits for beside its own socket; when it is readable, a turn follows.
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        None
    }
    /// The turn's packets have left.
    fn transmitted(&mut self) {}
    /// A packet for a connection of another shard, or that shall be there. To be handed to [`Endpoint::inject`] there.
    fn on_foreign(&mut self, shard: u8, packet: ForeignPacket);
}

/// See [`Application::on_foreign`].
#[derive(Clone, Debug)]
pub struct ForeignPacket {
    pub(crate) remote: SocketAddr,
    pub(crate) local: Option<IpAddr>,
    pub(crate) bytes: BytesMut,
    /// Its connection was given to the shard that it goes to, which keeps it.
    pub(crate) given: bool,
}

/// Carries one notice of the connection in `slot` to the application; what follows from it goes to the front of `notices`.
pub(crate) fn dispatch<A: Application>(
    app: &mut A,
    key: u32,
    slot: &mut Slot<A::State>,
    notice: Notice,
    notices: &mut VecDeque<Notice>,
) {
    match notice {
        Notice::Request(request) => match app.on_request(key, &request) {
            Answer::Accept(protocol, state) => {
                slot.state = Some(state);
                // The opening comes before what was read together with the request.
                let mut opening = VecDeque::new();
                slot.connection.accept(protocol, &mut opening);
                while let Some(notice) = opening.pop_back() {
                    notices.push_front(notice);
                }
            }
            Answer::Refuse(status) => slot.connection.refuse(status),
        },
        Notice::Open(protocol) => {
            if let Some(state) = slot.state.as_mut() {
                app.on_open(&mut slot.connection, state, protocol);
            }
        }
        Notice::Incoming(incoming) => {
            // What follows our own close is of no interest to anybody.
            if let (Phase::Open, Some(state)) = (slot.connection.phase(), slot.state.as_mut())
                && slot.connection.is_wanted(&incoming)
            {
                app.on_incoming(&mut slot.connection, state, incoming);
            }
        }
        Notice::Closed(closed) => {
            if let Some(state) = slot.state.take() {
                app.on_closed(key, state, closed);
            }
        }
    }
}
