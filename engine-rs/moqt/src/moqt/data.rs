//! The peer's objects, from datagrams and subgroup streams.

use bytes::Bytes;

use super::object::{self, Object};
use super::subscriber::Live;
use super::{Kind, Moqt, Stream};
use crate::error::{Abandon, Violation};
use crate::seam::{ObjectHeader, SessionEvent, StreamId, SubscriptionId, Transport};

impl Moqt {
    fn subscription_of(&self, alias: u64) -> Option<(SubscriptionId, Live)> {
        self.subscriptions.iter().find_map(|(id, entry)| {
            let live = entry.live.filter(|live| live.alias == alias)?;
            Some((*id, live))
        })
    }

    /// Whether `alias` may still become known: some SUBSCRIBE of ours has no answer yet.
    pub(super) fn is_early(&self, alias: u64) -> bool {
        self.subscription_of(alias).is_none() && self.subscriptions.values().any(|entry| entry.live.is_none())
    }

    pub(super) fn read_datagram(&mut self, t: &mut dyn Transport, datagram: Bytes) -> Result<(), Violation> {
        let Some(object) = object::read_datagram(&datagram)? else { return Ok(()) };
        if self.subscription_of(object.alias).is_some() {
            self.deliver(t, object, true);
        } else if self.is_early(object.alias) {
            self.early.push(datagram, self.common.limits.early_datagrams);
        }
        Ok(())
    }

    /// Reads the whole objects of a subgroup. Those of a subscription that is not accepted yet wait for it.
    pub(super) fn read_objects(
        &mut self,
        t: &mut dyn Transport,
        id: StreamId,
        stream: &mut Stream,
    ) -> Result<(), Violation> {
        let limit = self.common.limits.object;
        let Kind::Subgroup { subgroup, ended } = &mut stream.kind else { return Ok(()) };
        if self.is_early(subgroup.alias) {
            return Ok(());
        }
        loop {
            if self.subscription_of(subgroup.alias).is_none() {
                if !*ended {
                    t.stop(id, Self::code(Abandon::Cancelled));
                }
                stream.kind = Kind::Gone;
                return Ok(());
            }
            let Some(object) = subgroup.next(&mut stream.buffer.bytes, limit)? else { break };
            self.deliver(t, object, false);
        }
        if *ended {
            if !stream.buffer.bytes.is_empty() {
                return Err(Violation::Protocol("stream ended within an object"));
            }
            stream.kind = Kind::Gone;
        }
        Ok(())
    }

    /// Reads what waited for an alias that has become known, and drops what waits for none any more.
    pub(super) fn read_waiting(&mut self, t: &mut dyn Transport) -> Result<(), Violation> {
        while std::mem::take(&mut self.recheck) {
            self.read_waiting_once(t)?;
        }
        Ok(())
    }

    fn read_waiting_once(&mut self, t: &mut dyn Transport) -> Result<(), Violation> {
        for datagram in self.early.take() {
            self.read_datagram(t, datagram)?;
        }
        let waiting: Vec<StreamId> = self
            .streams
            .iter()
            .filter(|(_, stream)| matches!(stream.kind, Kind::Subgroup { .. }))
            .map(|(id, _)| *id)
            .collect();
        for id in waiting {
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

    fn deliver(&mut self, t: &mut dyn Transport, object: Object, datagram: bool) {
        let Some((id, live)) = self.subscription_of(object.alias) else { return };
        if object.properties.mandatory {
            // Mandatory properties are a track's; on an object they make the track malformed (draft-18 §2.5.1).
            return self.end_malformed(t, id);
        }
        let Some(payload) = object.payload else { return };
        let header = ObjectHeader {
            group: object.group,
            object: object.object,
            end_of_group: object.end_of_group,
            timestamp: object.properties.samples(live.timescale, object.group),
        };
        self.common.events.push(SessionEvent::Object { id, header, datagram, payload });
    }
}
