//! A connection on the lean path: [`crate::lean`] with the address it holds for.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use bytes::BytesMut;

use crate::connection::Connection;
use crate::lean::{Lane, MAX_DATAGRAM, Sealed};
use crate::notice::Phase;
use crate::outbox::Outbox;

/// See the module.
pub(crate) struct Express {
    lane: Lane,
    /// Open, and the peer has not moved since.
    on: bool,
    remote: SocketAddr,
    source: Option<IpAddr>,
    /// Largest datagram.
    most: usize,
    /// The connection id that the peer's packets carry.
    pub(crate) id: Option<u64>,
}

impl Express {
    pub(crate) const fn new(lane: Lane, remote: SocketAddr) -> Self {
        Self { lane, on: false, remote, source: None, most: 0, id: None }
    }

    /// Brings the lane's memory nearer.
    pub(crate) fn fetch(&self) {
        self.lane.fetch();
    }

    /// Where in memory the lane lies.
    pub(crate) fn address(&self) -> usize {
        self.lane.address()
    }

    /// Brings the keys nearer that open (or seal) packets, when the lane's memory is here.
    pub(crate) fn fetch_keys(&self, open: bool) {
        self.lane.fetch_keys(open);
    }
}

impl Connection {
    /// The session is open: its datagrams take the lean path from now on.
    pub(crate) fn board(&mut self) {
        let Some(express) = self.express.as_mut() else { return };
        express.lane.set_rtt(self.quic.rtt());
        express.remote = self.quic.remote_address();
        express.source = self.quic.local_ip();
        let most = self.quic.datagrams().max_size();
        express.most = most.unwrap_or(0).min(MAX_DATAGRAM);
        express.on = most.is_some();
    }

    /// quinn-proto has handled a packet. A peer that has moved leaves the lean path: what may be sent to an address that nobody has
    /// proved (RFC 9000 §9.3) only quinn-proto knows.
    pub(crate) fn stay_or_leave(&mut self) {
        if let Some(express) = self.express.as_mut().filter(|express| express.on) {
            express.on = express.remote == self.quic.remote_address();
        }
    }

    /// Sends a datagram, framed as for [`Connection::send_datagram`]. `Unfit`: by that way only.
    pub(crate) fn send_lean(&self, now: Instant, framed: &[u8], outbox: &mut Outbox) -> Sealed {
        let Some(express) = self.express.as_ref().filter(|express| express.on && framed.len() <= express.most) else {
            return Sealed::Unfit;
        };
        if self.phase != Phase::Open {
            return Sealed::Unfit;
        }
        outbox.make_room();
        let Some(out) = outbox.vacant() else { return Sealed::Unfit };
        let sealed = express.lane.seal(now, framed, &mut out.bytes);
        if sealed == Sealed::Yes {
            (out.remote, out.source, out.ecn, out.segment) = (express.remote, express.source, 0, None);
            outbox.commit();
        }
        sealed
    }

    /// Reads a packet that the peer sent to `id`. False: it is quinn-proto's.
    pub(crate) fn read_lean(
        &self,
        now: Instant,
        remote: SocketAddr,
        id: u64,
        packet: &[u8],
        scratch: &mut BytesMut,
    ) -> bool {
        let express = self.express.as_ref().filter(|express| express.on);
        express.is_some_and(|express| {
            express.id == Some(id) && express.remote == remote && express.lane.open(now, packet, scratch)
        })
    }

    /// The lane, if datagrams are sent on it.
    pub(crate) fn lane_in_use(&self) -> Option<&Lane> {
        let express = self.express.as_ref().filter(|express| express.on)?;
        (express.lane.totals().0 > 0).then_some(&express.lane)
    }

    /// RTT, losses and window of the path; of datagrams too.
    #[must_use]
    pub fn path_stats(&self) -> quinn_proto::PathStats {
        let mut path = self.quic.stats().path;
        if let Some(express) = &self.express {
            let (sent, lost) = express.lane.totals();
            path.sent_packets += sent;
            path.lost_packets += lost;
            if express.on && sent > 0 {
                path.rtt = express.lane.rtt();
            }
        }
        path
    }

    /// Changes keys if so many datagrams left under the present one that it is time (RFC 9001 §6.6). quinn-proto does the same for
    /// its own packets.
    pub(crate) fn renew_key(&mut self) -> bool {
        let due = self.express.as_ref().is_some_and(|express| express.on && express.lane.wants_new_key());
        if due {
            self.quic.force_key_update();
            self.quic.ping();
        }
        due
    }
}
