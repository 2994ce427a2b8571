//! A way in for the fuzz target.

use std::time::{Duration, Instant};

use bytes::BytesMut;

use super::rewrite::rewrite;
use super::{Sealed, plain};
use crate::frames::{Frame, Frames};

/// See [`crate::fuzzing::Lane`].
#[allow(missing_debug_implementations)] // holds keys
pub struct Lane {
    lane: super::Lane,
    now: Instant,
    quinn: u64,
}

impl Default for Lane {
    fn default() -> Self {
        let now = Instant::now();
        Self { lane: plain::lane(now), now, quinn: 0 }
    }
}

impl Lane {
    /// Time passes.
    pub fn wait(&mut self, micros: u64) {
        self.now += Duration::from_micros(micros);
    }

    /// A datagram leaves; false: not now.
    ///
    /// # Panics
    /// It would make a packet that is not one datagram.
    pub fn seal(&mut self, datagram: &[u8]) -> bool {
        let mut out = Vec::new();
        let sealed = self.lane.seal(self.now, datagram, &mut out) == Sealed::Yes;
        assert!(!sealed || out.len() <= 1_200 && out.windows(datagram.len()).any(|part| part == datagram));
        sealed
    }

    /// A packet of quinn-proto's leaves.
    pub fn quinn(&mut self) {
        self.lane.lock().numbers.take_for(self.quinn);
        self.quinn += 1;
    }

    /// A packet to us comes in; true: it was read here.
    pub fn open(&mut self, packet: &[u8]) -> bool {
        self.lane.open(self.now, packet, &mut BytesMut::new())
    }

    /// quinn-proto opens a packet with these frames.
    ///
    /// # Panics
    /// Something else than acknowledgements was changed, or one names a packet of quinn-proto's that has not left.
    pub fn rewrite(&mut self, frames: &[u8]) {
        let mut payload = BytesMut::from(frames);
        let never = self.quinn;
        rewrite(&mut self.lane.lock(), &mut payload);
        let others = |bytes: &[u8]| {
            let other = |frame: Result<(Frame<'_>, &[u8]), _>| match frame {
                Ok((Frame::Other | Frame::Datagram(_), bytes)) => Some(bytes.to_vec()),
                _ => None,
            };
            Frames::new(bytes).filter_map(other).collect::<Vec<_>>()
        };
        assert_eq!(others(frames), others(&payload));
        for (frame, _) in Frames::new(&payload).map_while(Result::ok) {
            if let Frame::Ack(ack) = frame {
                let known = ack.ranges().all(|(low, high)| low <= high && high < never);
                assert!(known || ack.ranges().eq([(crate::frames::MAX_NUMBER, crate::frames::MAX_NUMBER)]));
            }
        }
        let (sent, lost) = self.lane.totals();
        assert!(lost <= sent);
    }
}
