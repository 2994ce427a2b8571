//! Keys that hide nothing, for tests and fuzzing: what is sealed is what was written, with a tag of zeros.

use std::time::{Duration, Instant};

use quinn_proto::crypto::KeyPair;
use rustls::Error;
use rustls::quic::{HeaderProtectionKey, PacketKey, Tag};

use super::{Lane, Phase, TAG, keys};

/// A key that adds a tag of zeros.
struct Plain;

impl PacketKey for Plain {
    fn encrypt_in_place(&self, _packet: u64, _header: &[u8], _payload: &mut [u8]) -> Result<Tag, Error> {
        Ok(Tag::from(&[0; TAG][..]))
    }
    fn decrypt_in_place<'a>(&self, _packet: u64, _header: &[u8], payload: &'a mut [u8]) -> Result<&'a [u8], Error> {
        match payload.split_last_chunk() {
            Some((payload, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])) => Ok(payload),
            _ => Err(Error::DecryptError),
        }
    }
    fn tag_len(&self) -> usize {
        TAG
    }
    fn confidentiality_limit(&self) -> u64 {
        1 << 23
    }
    fn integrity_limit(&self) -> u64 {
        1 << 52
    }
}

impl HeaderProtectionKey for Plain {
    fn encrypt_in_place(&self, _sample: &[u8], _first: &mut u8, _number: &mut [u8]) -> Result<(), Error> {
        Ok(())
    }
    fn decrypt_in_place(&self, _sample: &[u8], _first: &mut u8, _number: &mut [u8]) -> Result<(), Error> {
        Ok(())
    }
    fn sample_len(&self) -> usize {
        TAG
    }
}

fn packet() -> keys::PacketKey {
    (Box::new(Plain) as Box<dyn PacketKey>).into()
}

fn header() -> keys::HeaderKey {
    (Box::new(Plain) as Box<dyn HeaderProtectionKey>).into()
}

/// The keys of a phase.
pub(super) fn phase(number: u64) -> Phase {
    Phase { number, local: packet(), remote: packet() }
}

/// A lane to a peer whose connection id is `peer`.
pub(super) fn lane(now: Instant) -> Lane {
    let lane = Lane::new(now, 7, Duration::from_millis(25));
    let mut state = lane.lock();
    (state.seal, state.open) = (Some(phase(0)), Some(phase(0)));
    state.header = Some(KeyPair { local: header(), remote: header() });
    if let Some(cid) = state.cid.first_chunk_mut() {
        *cid = *b"peer";
    }
    state.cid_length = 4;
    drop(state);
    lane
}
