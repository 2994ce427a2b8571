//! The least of draft-ietf-moq-transport-18 that a listener needs: SETUP with PATH, SUBSCRIBE, and reading datagrams.

/// ALPN over raw QUIC.
pub const ALPN: &[u8] = b"moqt-18";
/// First byte of the answer that lets a subscriber in.
pub const SUBSCRIBE_OK: u8 = 0x04;

/// What a client writes on its control stream, which stays open.
#[must_use]
pub fn setup(path: &str) -> Vec<u8> {
    // Type 0x2f00, length, then option PATH (1) and its length; all short enough for one byte each.
    let mut setup = vec![0xaf, 0x00, 0, path.len() as u8 + 2, 1, path.len() as u8];
    setup.extend_from_slice(path.as_bytes());
    setup
}

/// SUBSCRIBE to `track` of `spaces/<space>` as request 0.
#[must_use]
pub fn subscribe(space: &str, track: &str) -> Vec<u8> {
    let mut body = vec![0, 2, 6];
    body.extend_from_slice(b"spaces");
    for name in [space, track] {
        body.push(name.len() as u8);
        body.extend_from_slice(name.as_bytes());
    }
    body.push(0);
    let mut message = vec![3, 0, body.len() as u8];
    message.append(&mut body);
    message
}

/// The group and the payload of an OBJECT_DATAGRAM; `None` if it is none.
#[must_use]
pub fn object(datagram: &[u8]) -> Option<(u64, &[u8])> {
    const PROPERTIES: u8 = 1;
    const OBJECT_ZERO: u8 = 4;
    const DEFAULT_PRIORITY: u8 = 8;
    let (&kind, mut rest) = datagram.split_first()?;
    if kind & 0xf0 != 0 {
        return None;
    }
    let (_alias, group) = (vi64(&mut rest)?, vi64(&mut rest)?);
    if kind & OBJECT_ZERO == 0 {
        vi64(&mut rest)?;
    }
    if kind & DEFAULT_PRIORITY == 0 {
        rest = rest.get(1..)?;
    }
    if kind & PROPERTIES != 0 {
        let length = vi64(&mut rest)?;
        rest = rest.get(usize::try_from(length).ok()?..)?;
    }
    Some((group, rest))
}

/// A draft-18 integer: as many leading ones as further bytes.
fn vi64(input: &mut &[u8]) -> Option<u64> {
    let (first, rest) = input.split_first()?;
    let more = first.leading_ones() as usize;
    let (tail, rest) = rest.split_at_checked(more)?;
    *input = rest;
    let head = u64::from(*first) & 0xffu64.checked_shr(more as u32 + 1).unwrap_or(0);
    Some(tail.iter().fold(head, |value, byte| value << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_those_that_servers_took() {
        // WIRE: SETUP with PATH; SUBSCRIBE of spaces/4c93, track stage, without parameters.
        assert_eq!(setup("/spaces/4c93"), b"\xaf\x00\x00\x0e\x01\x0c/spaces/4c93");
        assert_eq!(subscribe("4c93", "stage"), b"\x03\x00\x15\x00\x02\x06spaces\x044c93\x05stage\x00");
    }

    #[test]
    fn an_object_is_read_with_and_without_its_optional_fields() {
        assert_eq!(object(b"\x0f\x02\x81\x2c\x02\x10\x00hello"), Some((300, &b"hello"[..])));
        assert_eq!(object(b"\x0e\x02\x05hello"), Some((5, &b"hello"[..])));
        assert_eq!(object(b"\x00\x02\x05\x00\x80hello"), Some((5, &b"hello"[..])));
        assert_eq!(object(b"\x10\x02\x05hello"), None);
        for cut in 0..5 {
            assert_eq!(object(&b"\x0f\x02\x81\x2c\x02"[..cut]), None);
        }
    }
}
