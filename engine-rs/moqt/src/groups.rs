//! Group streams of one subscription that we serve: one stream a group, at most one group open.

use std::collections::VecDeque;

use bytes::{BufMut, BytesMut};

use crate::framing::{Framing, Written};
use crate::limits::WAITING_GROUP;
use crate::seam::{ObjectHeader, StreamId, Transport};

/// Streams that are remembered after their FIN, so that a purge reaches what they have not delivered yet.
const REMEMBERED: usize = 8;

/// Where the open group's bytes go.
#[derive(Debug)]
enum Outlet {
    /// Its stream.
    Stream(StreamId),
    /// The peer allows no stream now; kept until it does, or until the next group.
    Waiting(BytesMut),
    /// The peer does not want it, or it grew too large while waiting.
    Abandoned,
}

#[derive(Debug)]
struct Group {
    sequence: u64,
    outlet: Outlet,
    last: Option<Written>,
    ended: bool,
}

/// The open group and the streams of those before it.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    current: Option<Group>,
    finished: VecDeque<StreamId>,
    opened: u64,
}

impl Groups {
    /// Sends one object. False if its place is not after all that was sent: an earlier group, or an object id that does
    /// not rise within the group.
    pub(crate) fn send(
        &mut self,
        t: &mut dyn Transport,
        framing: Framing,
        header: &ObjectHeader,
        payload: &[u8],
    ) -> bool {
        if let Some(group) = &self.current {
            if header.group < group.sequence {
                return false;
            }
            let rises = group.last.is_none_or(|last| header.object > last.object);
            if header.group == group.sequence && (group.ended || !rises) {
                return false;
            }
            if header.group > group.sequence {
                self.finish(t);
            }
        }
        let mut group = self.current.take().unwrap_or_else(|| Group {
            sequence: header.group,
            outlet: match t.open_uni() {
                Some(stream) => {
                    self.opened += 1;
                    Outlet::Stream(stream)
                }
                None => Outlet::Waiting(BytesMut::new()),
            },
            last: None,
            ended: false,
        });
        let mut bytes = BytesMut::with_capacity(48 + payload.len());
        if group.last.is_none() {
            framing.group(&mut bytes, header);
        }
        framing.object(&mut bytes, group.last, header, payload.len());
        bytes.put_slice(payload);
        group.last = Some(Written { object: header.object, timestamp: header.timestamp });
        group.ended = header.end_of_group;
        match &mut group.outlet {
            Outlet::Stream(stream) => {
                t.write(*stream, &bytes, group.ended);
                if group.ended {
                    remember(&mut self.finished, *stream);
                }
            }
            Outlet::Waiting(waiting) if waiting.len() + bytes.len() <= WAITING_GROUP => waiting.put_slice(&bytes),
            Outlet::Waiting(_) => group.outlet = Outlet::Abandoned,
            Outlet::Abandoned => {}
        }
        self.current = Some(group);
        true
    }

    /// The peer allows another stream.
    pub(crate) fn on_credit(&mut self, t: &mut dyn Transport) {
        let Some(group) = &mut self.current else { return };
        let Outlet::Waiting(waiting) = &group.outlet else { return };
        let Some(stream) = t.open_uni() else { return };
        self.opened += 1;
        t.write(stream, waiting, group.ended);
        if group.ended {
            remember(&mut self.finished, stream);
        }
        group.outlet = Outlet::Stream(stream);
    }

    /// Ends the open group: nothing more comes in it.
    pub(crate) fn finish(&mut self, t: &mut dyn Transport) {
        let Some(group) = self.current.take() else { return };
        if let Outlet::Stream(stream) = group.outlet
            && !group.ended
        {
            t.write(stream, &[], true);
            remember(&mut self.finished, stream);
        }
    }

    /// Resets every group stream that may still have something to deliver. The open group stays given up: what follows in
    /// it is dropped, the next group is sent.
    pub(crate) fn purge(&mut self, t: &mut dyn Transport, code: u64) {
        for stream in self.finished.drain(..) {
            t.reset(stream, code);
        }
        if let Some(group) = &mut self.current {
            if let Outlet::Stream(stream) = group.outlet
                && !group.ended
            {
                t.reset(stream, code);
            }
            group.outlet = Outlet::Abandoned;
        }
    }

    /// The peer stopped `stream`. True if it was one of these.
    pub(crate) fn on_stopped(&mut self, stream: StreamId) -> bool {
        if let Some(group) = &mut self.current
            && matches!(group.outlet, Outlet::Stream(open) if open == stream)
        {
            group.outlet = Outlet::Abandoned;
            self.finished.retain(|finished| *finished != stream);
            return true;
        }
        let before = self.finished.len();
        self.finished.retain(|finished| *finished != stream);
        self.finished.len() < before
    }

    /// Streams opened so far, for PUBLISH_DONE.
    pub(crate) const fn opened(&self) -> u64 {
        self.opened
    }
}

fn remember(finished: &mut VecDeque<StreamId>, stream: StreamId) {
    if finished.len() >= REMEMBERED {
        finished.pop_front();
    }
    finished.push_back(stream);
}
