//! Turns the acknowledgements in a packet that quinn-proto has opened into its own count, and takes what is ours out of them.

use std::cell::RefCell;

use bytes::BytesMut;

use super::{State, held};
use crate::frames::{Frame, Frames, MAX_NUMBER};

/// What an acknowledgement of a datagram says to quinn-proto about how long it was held back: longer than any limit.
///
/// RFC 9002 §5.1 measures the round trip by the largest number acknowledged, and only if it is new. quinn-proto cannot see that the
/// largest one was a datagram, sent after the packet of its own that it would measure by. With this it takes off what the peer may
/// have waited at most, and never goes below the least round trip that it knows (§5.3).
const HELD_LONG: u64 = 1 << 20;

/// Where a packet is written anew, and ranges on the way.
#[derive(Default)]
struct Scratch {
    out: BytesMut,
    ranges: Vec<(u64, u64)>,
}

thread_local! {
    /// One for all connections of a shard: quinn-proto opens one packet after the other.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Rewrites the ACK frames of an opened packet; all other bytes stay as they are. What is malformed is left for quinn-proto to refuse,
/// and so is an acknowledgement of what was never sent: it becomes one of a number that quinn-proto cannot have reached.
pub(super) fn rewrite(state: &mut State, payload: &mut BytesMut) {
    let acknowledges = |frame: Result<(Frame<'_>, &[u8]), _>| matches!(frame, Ok((Frame::Ack(_), _)));
    if !Frames::new(payload).any(acknowledges) {
        return;
    }
    SCRATCH.with_borrow_mut(|Scratch { out, ranges }| {
        out.clear();
        let mut frames = Frames::new(payload);
        while let Some(Ok((frame, bytes))) = frames.next() {
            let Frame::Ack(ack) = frame else {
                out.extend_from_slice(bytes);
                continue;
            };
            let delay = if state.numbers.is_quinns(ack.largest) { ack.delay } else { HELD_LONG };
            match state.numbers.translate(ack.ranges(), ranges) {
                Ok(()) => {
                    ack.rewrite(ranges, delay, out);
                    let now = state.now;
                    state.flight.on_ack(now, ack.ranges(), held(ack.delay));
                }
                Err(_) => ack.rewrite(&[(MAX_NUMBER, MAX_NUMBER)], delay, out),
            }
        }
        out.extend_from_slice(frames.rest());
        if out.is_empty() {
            // A packet without frames would be a violation (RFC 9000 §12.4): one PADDING.
            out.extend_from_slice(&[0]);
        }
        payload.clear();
        payload.extend_from_slice(out);
    });
}
