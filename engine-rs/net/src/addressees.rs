//! Whose a packet is, by the connection id that it begins with; without asking quinn-proto.
//!
//! Only ids are kept that quinn-proto itself has found a connection for, the last one of each connection. They are random and made
//! here ([`crate::quic::ShardCid`]), so they are their own hashes.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::lean::OWN_CID;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Addressees {
    keys: HashMap<u64, u32, BuildHasherDefault<Itself>>,
}

impl Addressees {
    /// The id of a short-header packet (RFC 9000 §17.3.1).
    pub(crate) fn id(packet: &[u8]) -> Option<u64> {
        let flags = packet.first().filter(|flags| **flags & 0x80 == 0);
        flags.and(packet.get(1..=OWN_CID)).and_then(|id| id.try_into().ok()).map(u64::from_le_bytes)
    }

    /// The connection that an id was last seen to be of. The owner makes sure that it still is.
    pub(crate) fn find(&self, id: u64) -> Option<u32> {
        self.keys.get(&id).copied()
    }

    /// The connection `key` is addressed by `id` now, and no longer by `before`.
    pub(crate) fn learn(&mut self, id: u64, key: u32, before: Option<u64>) {
        self.forget(before);
        self.keys.insert(id, key);
    }

    /// Nobody is addressed by `id` any more.
    pub(crate) fn forget(&mut self, id: Option<u64>) {
        if let Some(id) = id {
            self.keys.remove(&id);
        }
    }
}

/// Hashes a random number to itself.
#[derive(Clone, Copy, Debug, Default)]
struct Itself(u64);

impl Hasher for Itself {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_id_of_a_connection_finds_it_and_no_other() {
        let mut addressees = Addressees::default();
        let packet = [0x40, 1, 2, 3, 4, 5, 6, 7, 8, 9];
        let id = Addressees::id(&packet).unwrap();
        addressees.learn(id, 7, None);
        assert_eq!(addressees.find(id), Some(7));
        addressees.learn(99, 7, Some(id));
        assert_eq!((addressees.find(id), addressees.find(99)), (None, Some(7)));
        addressees.forget(Some(99));
        assert_eq!(addressees.find(99), None);
        assert_eq!(Addressees::id(&[0xc0; 20]), None);
        assert_eq!(Addressees::id(&[0x40; 8]), None);
    }
}
