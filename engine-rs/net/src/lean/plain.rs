//! Keys that hide nothing, for tests and fuzzing: what is sealed is what was written, with a tag of zeros.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use quinn_proto::crypto::{CryptoError, HeaderKey, KeyPair, PacketKey};

use super::{Lane, Phase, TAG};

/// A key that adds a tag of zeros.
struct Plain;

impl PacketKey for Plain {
    fn encrypt(&self, _packet: u64, _buf: &mut [u8], _header_len: usize) {}
    fn decrypt(&self, _packet: u64, _header: &[u8], payload: &mut BytesMut) -> Result<(), CryptoError> {
        let length = payload.len().checked_sub(TAG).ok_or(CryptoError)?;
        if payload.get(length..) != Some(&[0; TAG]) {
            return Err(CryptoError);
        }
        payload.truncate(length);
        Ok(())
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

impl HeaderKey for Plain {
    fn decrypt(&self, _pn_offset: usize, _packet: &mut [u8]) {}
    fn encrypt(&self, _pn_offset: usize, _packet: &mut [u8]) {}
    fn sample_size(&self) -> usize {
        TAG
    }
}

/// The keys of a phase.
pub(super) fn phase(number: u64) -> Phase {
    Phase { number, local: Arc::new(Plain), remote: Arc::new(Plain) }
}

/// A lane to a peer whose connection id is `peer`.
pub(super) fn lane(now: Instant) -> Lane {
    let lane = Lane::new(now, 7, Duration::from_millis(25));
    let mut state = lane.lock();
    (state.seal, state.open) = (Some(phase(0)), Some(phase(0)));
    state.header = Some(KeyPair { local: Arc::new(Plain), remote: Arc::new(Plain) });
    if let Some(cid) = state.cid.first_chunk_mut() {
        *cid = *b"peer";
    }
    state.cid_length = 4;
    drop(state);
    lane
}
