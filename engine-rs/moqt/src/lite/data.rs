//! The peer's objects, from datagrams and group streams.

use bytes::Bytes;

use super::{Kind, Lite, Stream, message};
use crate::error::{Abandon, Violation};
use crate::seam::{ObjectHeader, SessionEvent, StreamId, SubscriptionId, Transport};
use crate::timescale;
use crate::wire::{Reader, unzigzag};

/// Largest datagram; longer ones are dropped without a word.
const MAX_DATAGRAM: usize = 1_200;

/// A group's stream and how far its frames have been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) subscribe_id: u64,
    sequence: u64,
    object: u64,
    timestamp: u64,
}

/// One frame of a group.
struct Frame {
    timestamp: u64,
    payload: Bytes,
}

impl Lite {
    fn subscription_of(&self, subscribe_id: u64) -> Option<(SubscriptionId, Option<u64>)> {
        let mut entries = self.subscriptions.iter();
        entries.find(|(_, entry)| entry.subscribe_id == subscribe_id).map(|(id, entry)| (*id, entry.timescale))
    }

    /// Whether this is a subscription of ours whose timescale is still to come.
    pub(super) fn is_early(&self, subscribe_id: u64) -> bool {
        matches!(self.subscription_of(subscribe_id), Some((_, None)))
    }

    pub(super) fn read_datagram(&mut self, datagram: Bytes) -> Result<(), Violation> {
        if datagram.len() > MAX_DATAGRAM {
            return Ok(());
        }
        let mut reader = Reader::new(&datagram);
        let (subscribe_id, sequence, timestamp) = (reader.varint()?, reader.varint()?, reader.varint()?);
        match self.subscription_of(subscribe_id) {
            Some((id, Some(scale))) => {
                let header = ObjectHeader {
                    group: sequence,
                    object: 0,
                    end_of_group: true,
                    timestamp: timescale::to_samples(timestamp, scale).unwrap_or(0),
                };
                let payload = datagram.slice(datagram.len() - reader.rest().len()..);
                self.common.events.push(SessionEvent::Object { id, header, datagram: true, payload });
            }
            Some((_, None)) => self.early.push(datagram, self.common.limits.early_datagrams),
            None => {}
        }
        Ok(())
    }

    /// Reads the whole frames of a group. Those of a track whose timescale is not known wait for it.
    pub(super) fn read_objects(
        &mut self,
        t: &mut dyn Transport,
        id: StreamId,
        stream: &mut Stream,
    ) -> Result<(), Violation> {
        let limit = self.common.limits.object;
        let buffer = &mut stream.buffer.bytes;
        let Kind::Group { group, ended } = &mut stream.kind else { return Ok(()) };
        let group = match group {
            Some(group) => group,
            None => {
                let Some(body) = message::next(buffer)? else { return Ok(()) };
                let (subscribe_id, sequence) = message::read_group(&body)?;
                group.insert(Group { subscribe_id, sequence, object: 0, timestamp: 0 })
            }
        };
        let (id, scale) = match self.subscription_of(group.subscribe_id) {
            Some((id, Some(scale))) => (id, scale),
            Some((_, None)) => return Ok(()),
            None => {
                if !*ended {
                    t.stop(id, Self::code(Abandon::Cancelled));
                }
                stream.kind = Kind::Gone;
                return Ok(());
            }
        };
        while let Some(frame) = group.next(buffer, limit)? {
            let header = ObjectHeader {
                group: group.sequence,
                object: group.object,
                end_of_group: false,
                timestamp: timescale::to_samples(frame.timestamp, scale).unwrap_or(0),
            };
            group.object += 1;
            let payload = frame.payload;
            self.common.events.push(SessionEvent::Object { id, header, datagram: false, payload });
        }
        if *ended {
            if !buffer.is_empty() {
                return Err(Violation::Protocol("stream ended within a frame"));
            }
            stream.kind = Kind::Gone;
        }
        Ok(())
    }

    /// Reads what waited for a timescale, and drops what has lost its subscription.
    pub(super) fn read_waiting(&mut self, t: &mut dyn Transport) -> Result<(), Violation> {
        while std::mem::take(&mut self.recheck) {
            self.read_waiting_once(t)?;
        }
        Ok(())
    }

    fn read_waiting_once(&mut self, t: &mut dyn Transport) -> Result<(), Violation> {
        for datagram in self.early.take() {
            self.read_datagram(datagram)?;
        }
        let groups: Vec<StreamId> = self
            .streams
            .iter()
            .filter(|(_, stream)| matches!(stream.kind, Kind::Group { group: Some(_), .. }))
            .map(|(id, _)| *id)
            .collect();
        for id in groups {
            let Some(mut stream) = self.streams.remove(&id) else { continue };
            let mut result = self.read_objects(t, id, &mut stream);
            if matches!(stream.kind, Kind::Gone) {
                self.common.release(&stream.buffer);
            } else {
                result = result.and(self.common.account(&mut stream.buffer));
                self.streams.insert(id, stream);
            }
            result?;
        }
        Ok(())
    }
}

impl Group {
    /// Takes the next frame off `buffer` once it is whole.
    fn next(&mut self, buffer: &mut bytes::BytesMut, limit: usize) -> Result<Option<Frame>, Violation> {
        let mut reader = Reader::new(buffer);
        let (Ok(difference), Ok(length)) = (reader.varint(), reader.varint()) else { return Ok(None) };
        if length > limit as u64 {
            return Err(Violation::Excess);
        }
        let timestamp = unzigzag(self.timestamp, difference).ok_or(Violation::Protocol("timestamp below 0"))?;
        let header = buffer.len() - reader.rest().len();
        if reader.bytes(length).is_err() {
            return Ok(None);
        }
        let mut frame = buffer.split_to(header + length as usize);
        self.timestamp = timestamp;
        Ok(Some(Frame { timestamp, payload: frame.split_off(header).freeze() }))
    }
}
