//! QMux's transport parameters (draft-ietf-quic-qmux-02 §5; encoding of RFC 9000 §18).

use bytes::{Buf, BufMut, Bytes, BytesMut};
use spaces_core::varint;

use super::frames::Violation;

/// Bytes of a record's frames that everybody takes.
pub(crate) const RECORD: u64 = 16_382;
const MAX_RECORD_SIZE: u64 = 0x0571_c594_29cd_0845;

/// What one end allows the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parameters {
    /// Milliseconds; 0: none.
    pub(crate) idle: u64,
    /// Bytes of all streams.
    pub(crate) data: u64,
    /// Bytes of a bidirectional stream that the sender of these opened.
    pub(crate) bidi_local: u64,
    /// Bytes of a bidirectional stream that the receiver of these opened.
    pub(crate) bidi_remote: u64,
    /// Bytes of a unidirectional stream.
    pub(crate) uni: u64,
    /// Bidirectional streams.
    pub(crate) streams_bidi: u64,
    /// Unidirectional streams.
    pub(crate) streams_uni: u64,
    /// Bytes of a DATAGRAM frame; 0: none are taken.
    pub(crate) datagram: u64,
    /// Bytes of a record.
    pub(crate) record: u64,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            idle: 0,
            data: 0,
            bidi_local: 0,
            bidi_remote: 0,
            uni: 0,
            streams_bidi: 0,
            streams_uni: 0,
            datagram: 0,
            record: RECORD,
        }
    }
}

impl Parameters {
    fn fields(&mut self) -> [(u64, &mut u64); 9] {
        [
            (0x01, &mut self.idle),
            (0x04, &mut self.data),
            (0x05, &mut self.bidi_local),
            (0x06, &mut self.bidi_remote),
            (0x07, &mut self.uni),
            (0x08, &mut self.streams_bidi),
            (0x09, &mut self.streams_uni),
            (0x20, &mut self.datagram),
            (MAX_RECORD_SIZE, &mut self.record),
        ]
    }

    pub(crate) fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        for (id, value) in self.clone().fields() {
            varint::write(&mut out, id);
            out.put_u8(varint::size(*value) as u8);
            varint::write(&mut out, *value);
        }
        out.freeze()
    }

    /// # Errors
    /// [`Violation::TransportParameter`]: cut short, given twice, one that QMux forbids, or a value that cannot be.
    pub(crate) fn decode(mut bytes: Bytes) -> Result<Self, Violation> {
        const WRONG: Violation = Violation::TransportParameter;
        let mut found = Self::default();
        let mut seen = Vec::new();
        while !bytes.is_empty() {
            let mut rest = &bytes[..];
            let (id, length) = varint::read(&mut rest).zip(varint::read(&mut rest)).ok_or(WRONG)?;
            let head = bytes.len() - rest.len();
            bytes.advance(head);
            let length = usize::try_from(length).ok().filter(|length| *length <= bytes.len()).ok_or(WRONG)?;
            let value = bytes.split_to(length);
            // Those of QUIC that QMux has no use for; its connection ids, keys and path are another layer's.
            if seen.contains(&id) || matches!(id, 0x00 | 0x02 | 0x03 | 0x0a..=0x10) {
                return Err(WRONG);
            }
            seen.push(id);
            if seen.len() > 64 {
                return Err(WRONG);
            }
            let Some((_, field)) = found.fields().into_iter().find(|(known, _)| *known == id) else { continue };
            let mut number = &value[..];
            *field = varint::read(&mut number).filter(|_| number.is_empty()).ok_or(WRONG)?;
        }
        let streams = found.streams_bidi.max(found.streams_uni);
        if found.record < RECORD || streams > 1 << 60 { Err(WRONG) } else { Ok(found) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_come_back_and_others_are_passed_over() {
        let parameters = Parameters { idle: 20_000, data: 1 << 20, uni: 9, streams_uni: 100, ..Parameters::default() };
        let mut bytes = BytesMut::from(&parameters.encode()[..]);
        bytes.extend_from_slice(&[0x1d, 0, 0x40, 0x99, 2, 1, 2]); // reset_stream_at, and one that nobody knows
        assert_eq!(Parameters::decode(bytes.freeze()), Ok(parameters));
    }

    #[test]
    fn wrong_parameters_are_refused() {
        for bad in [
            &[0x04][..],                                                // cut short
            &[0x04, 2, 1],                                              // shorter than it says
            &[0x04, 1, 1, 0x04, 1, 1],                                  // twice
            &[0x04, 2, 1, 1],                                           // more than a number
            &[0x00, 0],                                                 // a connection id
            &[0x0e, 1, 2],                                              // active_connection_id_limit
            &[0x08, 8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], // streams without number
            &[0xc5, 0x71, 0xc5, 0x94, 0x29, 0xcd, 0x08, 0x45, 1, 9],    // a record smaller than everybody's
        ] {
            assert_eq!(
                Parameters::decode(Bytes::copy_from_slice(bad)),
                Err(Violation::TransportParameter),
                "{bad:02x?}"
            );
        }
    }
}
