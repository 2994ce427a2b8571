//! What the admission desk and the way out need of a connection, whatever it runs over.

use std::time::{Duration, Instant};

use spaces_moqt::seam::Transport;

use crate::connection::Connection;

/// How the way to a peer does, since its beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    /// Packets, or what is sent like one. It may count anew when the peer has moved.
    pub(crate) sent: u64,
    /// Of these, lost.
    pub(crate) lost: u64,
    /// Smoothed round-trip time; 0: not known.
    pub(crate) rtt: Duration,
}

/// See the module.
pub(crate) trait Link: Transport {
    /// Names the connection on its shard; used again after it is gone.
    fn key(&self) -> u32;
    /// When its first packet came.
    fn begun(&self) -> Instant;
    /// This turn's time.
    fn now(&self) -> Instant;
    /// How the path does.
    fn report(&self) -> Report;
}

impl Link for Connection {
    fn key(&self) -> u32 {
        Self::key(self)
    }

    fn begun(&self) -> Instant {
        self.begun
    }

    fn now(&self) -> Instant {
        self.now
    }

    fn report(&self) -> Report {
        // All that is sent often goes the lean path, and quinn-proto's statistics are far away.
        if let Some(lane) = self.lane_in_use() {
            let ((sent, lost), rtt) = (lane.totals(), lane.rtt());
            return Report { sent, lost, rtt };
        }
        let path = self.path_stats();
        Report { sent: path.sent_packets, lost: path.lost_packets, rtt: path.rtt }
    }
}
