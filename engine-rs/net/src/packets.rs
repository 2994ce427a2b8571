//! Memory of the packets that quinn-proto reads: it wants each for itself, and most are small and let go at once.

use bytes::BytesMut;

/// The longest packet that shares memory with others: acknowledgements. What may be kept for long is longer, so that little
/// keeps the memory of much else.
const SMALL: usize = 96;
/// Memory that small packets share; as soon as none of them is kept it is used again.
const SHARED: usize = 4_096;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Packets(BytesMut);

impl Packets {
    /// A copy of a packet.
    pub(crate) fn copy(&mut self, packet: &[u8]) -> BytesMut {
        if packet.len() > SMALL {
            return BytesMut::from(packet);
        }
        if self.0.capacity() < packet.len() {
            self.0.reserve(SHARED);
        }
        self.0.extend_from_slice(packet);
        self.0.split()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_of_small_packets_is_used_again_when_none_is_kept() {
        let mut packets = Packets::default();
        let mut places = Vec::new();
        for n in 0..10_000usize {
            let packet = vec![n as u8; 1 + n % SMALL];
            let copy = packets.copy(&packet);
            assert_eq!(copy, packet);
            places.push(copy.as_ptr() as usize);
        }
        places.sort_unstable();
        assert!(places[places.len() - 1] - places[0] < SHARED);
    }

    #[test]
    fn what_is_kept_stays_what_it_was() {
        let mut packets = Packets::default();
        let kept: Vec<_> = (0..1_000usize).map(|n| packets.copy(&vec![n as u8; n % 200])).collect();
        for (n, copy) in kept.iter().enumerate() {
            assert_eq!(*copy, vec![n as u8; n % 200]);
        }
    }
}
