//! The keys of 1-RTT packets, as rustls makes them, held so that their memory can be asked for before it is needed.
//!
//! quinn-proto takes a box with a box in it. Here a key lies where its pointer points to: what is fetched ahead is the key, not
//! the way to it.

use std::sync::Arc;

use bytes::BytesMut;
use quinn_proto::crypto::{self, CryptoError};
use rustls::quic;

use crate::prefetch::prefetch;

/// The longest packet number; the sample begins behind it, however long the number is.
const NUMBER: usize = 4;

/// What seals or opens packets of one phase in one direction.
#[derive(Clone)]
pub(super) struct PacketKey(Arc<dyn quic::PacketKey>);

/// What hides or shows packet numbers in one direction, in all phases.
#[derive(Clone)]
pub(super) struct HeaderKey(Arc<dyn quic::HeaderProtectionKey>);

impl From<Box<dyn quic::PacketKey>> for PacketKey {
    fn from(key: Box<dyn quic::PacketKey>) -> Self {
        Self(key.into())
    }
}

impl From<Box<dyn quic::HeaderProtectionKey>> for HeaderKey {
    fn from(key: Box<dyn quic::HeaderProtectionKey>) -> Self {
        Self(key.into())
    }
}

impl PacketKey {
    /// Brings it nearer.
    pub(super) fn fetch(&self) {
        prefetch(&*self.0);
    }
}

impl HeaderKey {
    /// Brings it nearer.
    pub(super) fn fetch(&self) {
        prefetch(&*self.0);
    }
}

impl crypto::PacketKey for PacketKey {
    fn encrypt(&self, packet: u64, buf: &mut [u8], header_len: usize) {
        let sealed = buf.split_at_mut_checked(header_len).and_then(|(header, rest)| {
            let (payload, place) = rest.split_last_chunk_mut::<{ super::TAG }>()?;
            let tag = self.0.encrypt_in_place(packet, header, payload).ok()?;
            place.copy_from_slice(tag.as_ref());
            Some(())
        });
        if sealed.is_none() {
            // More than the cipher may seal at once, or no room for a tag: nobody has built such a packet. It must not leave open.
            buf.fill(0);
        }
    }

    fn decrypt(&self, packet: u64, header: &[u8], payload: &mut BytesMut) -> Result<(), CryptoError> {
        let opened = self.0.decrypt_in_place(packet, header, payload).map_err(|_| CryptoError)?.len();
        payload.truncate(opened);
        Ok(())
    }

    fn tag_len(&self) -> usize {
        self.0.tag_len()
    }

    fn confidentiality_limit(&self) -> u64 {
        self.0.confidentiality_limit()
    }

    fn integrity_limit(&self) -> u64 {
        self.0.integrity_limit()
    }
}

/// Flags, packet number at its longest and sample of a packet whose number begins at `pn_offset` (RFC 9001 §5.4.2). `None`: it is too
/// short to have them.
fn parts(packet: &mut [u8], pn_offset: usize, sample: usize) -> Option<(&mut u8, &mut [u8], &[u8])> {
    let (head, rest) = packet.split_at_mut_checked(pn_offset.checked_add(NUMBER)?)?;
    let (flags, head) = head.split_first_mut()?;
    Some((flags, head.get_mut(pn_offset.checked_sub(1)?..)?, rest.get(..sample)?))
}

impl crypto::HeaderKey for HeaderKey {
    fn decrypt(&self, pn_offset: usize, packet: &mut [u8]) {
        if let Some((flags, number, sample)) = parts(packet, pn_offset, self.sample_size()) {
            // It fails only for samples of another length than it has named.
            let _ = self.0.decrypt_in_place(sample, flags, number);
        }
    }

    fn encrypt(&self, pn_offset: usize, packet: &mut [u8]) {
        if let Some((flags, number, sample)) = parts(packet, pn_offset, self.sample_size()) {
            let _ = self.0.encrypt_in_place(sample, flags, number);
        }
    }

    fn sample_size(&self) -> usize {
        self.0.sample_len()
    }
}

#[cfg(test)]
mod tests {
    use quinn_proto::crypto::{HeaderKey as _, PacketKey as _};
    use rustls::Side;
    use rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256;
    use rustls::quic::{Keys, Version};

    use super::*;

    fn keys() -> Keys {
        let suite = TLS13_AES_128_GCM_SHA256.tls13().unwrap();
        Keys::initial(Version::V1, suite, suite.quic.unwrap(), b"id of ours", Side::Server)
    }

    #[test]
    fn packets_are_as_quinn_proto_would_have_made_them() {
        let (ours, theirs) = (keys().local, keys().local);
        let (packet, header) = (PacketKey::from(ours.packet), HeaderKey::from(ours.header));
        for length in [2, 4] {
            let plain =
                [&[0x40 | (length as u8 - 1)][..], &[7; 8], &[0, 0, 1, 2][4 - length..], b"frames", &[0; 16]].concat();
            let (mut one, mut other) = (plain.clone(), plain.clone());
            packet.encrypt(0x102, &mut one, 9 + length);
            theirs.packet.encrypt(0x102, &mut other, 9 + length);
            header.encrypt(9, &mut one);
            theirs.header.encrypt(9, &mut other);
            assert_eq!(one, other);
            assert_ne!(one, plain);
            header.decrypt(9, &mut one);
            let mut payload = BytesMut::from(&one[9 + length..]);
            packet.decrypt(0x102, &one[..9 + length], &mut payload).unwrap();
            assert_eq!(payload, &b"frames"[..]);
            let mut payload = BytesMut::from(&one[9 + length..]);
            assert!(packet.decrypt(0x103, &one[..9 + length], &mut payload).is_err());
        }
    }

    #[test]
    fn what_has_no_room_for_a_tag_does_not_leave_as_it_is() {
        let packet = PacketKey::from(keys().local.packet);
        let mut short = *b"head and body";
        packet.encrypt(1, &mut short, 4);
        assert_eq!(short, [0; 13]);
        // Too short for a sample: nothing to hide, and nothing happens.
        let header = HeaderKey::from(keys().local.header);
        let mut short = [0x41; 12];
        header.encrypt(9, &mut short);
        header.decrypt(9, &mut short);
        assert_eq!(short, [0x41; 12]);
    }
}
