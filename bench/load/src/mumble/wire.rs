//! The few of Mumble 1.3's messages that a listener or speaker needs (Mumble protocol documentation; `Mumble.proto`).

/// A message's type on the control channel.
pub type Kind = u16;
/// Version.
pub const VERSION: Kind = 0;
/// A voice packet, while there is no UDP.
pub const UDP_TUNNEL: Kind = 1;
/// Authenticate.
pub const AUTHENTICATE: Kind = 2;
/// Ping.
pub const PING: Kind = 3;
/// Reject.
pub const REJECT: Kind = 4;
/// ServerSync: the client is in.
pub const SERVER_SYNC: Kind = 5;
/// CryptSetup: keys for UDP.
pub const CRYPT_SETUP: Kind = 15;

/// Version 1.3.4, whose UDP format is the old one.
const CLIENT_VERSION: u64 = 0x01_03_04;
/// First byte of a voice packet: Opus (4), normal talking (0).
const OPUS: u8 = 4 << 5;
/// First byte of a ping.
const UDP_PING: u8 = 1 << 5;

/// A message with its head.
#[must_use]
pub fn framed(kind: Kind, body: &[u8]) -> Vec<u8> {
    let mut message = kind.to_be_bytes().to_vec();
    message.extend_from_slice(&(body.len() as u32).to_be_bytes());
    message.extend_from_slice(body);
    message
}

/// The first message in `bytes`: type, body, length with head.
#[must_use]
pub fn message(bytes: &[u8]) -> Option<(Kind, &[u8], usize)> {
    let (&[a, b, c, d, e, f], rest) = bytes.split_first_chunk::<6>()?;
    let length = u32::from_be_bytes([c, d, e, f]) as usize;
    Some((u16::from_be_bytes([a, b]), rest.get(..length)?, 6 + length))
}

/// Version and Authenticate for a client that understands Opus.
#[must_use]
pub fn greeting(name: &str) -> Vec<u8> {
    let mut version = vec![1 << 3];
    protobuf_varint(&mut version, CLIENT_VERSION);
    let mut authenticate = vec![1 << 3 | 2, name.len() as u8];
    authenticate.extend_from_slice(name.as_bytes());
    authenticate.extend_from_slice(&[5 << 3, 1]);
    [framed(VERSION, &version), framed(AUTHENTICATE, &authenticate)].concat()
}

fn protobuf_varint(out: &mut Vec<u8>, mut value: u64) {
    while value > 0x7f {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Key, client's and server's counter of a CryptSetup that has all three: three fields of 16 bytes.
#[must_use]
pub fn crypt_setup(mut body: &[u8]) -> Option<[[u8; 16]; 3]> {
    let mut found = [None; 3];
    while let Some((&[head, 16], rest)) = body.split_first_chunk::<2>() {
        let (value, rest) = rest.split_first_chunk::<16>()?;
        *found.get_mut(usize::from(head >> 3).checked_sub(1)?)? = Some(*value);
        body = rest;
    }
    let [Some(key), Some(client), Some(server)] = found else { return None };
    Some([key, client, server])
}

/// A voice packet to the server; `sequence` counts 10 ms.
#[must_use]
pub fn voice(sequence: u64, opus: &[u8]) -> Vec<u8> {
    let mut packet = vec![OPUS];
    varint(&mut packet, sequence);
    varint(&mut packet, opus.len() as u64);
    packet.extend_from_slice(opus);
    packet
}

/// A ping over UDP, by which the server learns the address.
#[must_use]
pub fn ping() -> [u8; 2] {
    [UDP_PING, 1]
}

/// The Opus packet in a voice packet from the server: type, session, sequence, length, Opus.
#[must_use]
pub fn heard(packet: &[u8]) -> Option<&[u8]> {
    let (&kind, mut rest) = packet.split_first()?;
    if kind & 0xe0 != OPUS {
        return None;
    }
    let (_session, _sequence) = (read_varint(&mut rest)?, read_varint(&mut rest)?);
    let length = read_varint(&mut rest)? & 0x1fff;
    rest.get(..length as usize)
}

/// Mumble's own varints: up to four bytes suffice here.
fn varint(out: &mut Vec<u8>, value: u64) {
    match value {
        0..0x80 => out.push(value as u8),
        0x80..0x4000 => out.extend_from_slice(&(value as u16 | 0x8000).to_be_bytes()),
        0x4000..0x20_0000 => out.extend_from_slice(&(value as u32 | 0xc0_0000).to_be_bytes()[1..]),
        _ => out.extend_from_slice(&(value as u32 & 0x0fff_ffff | 0xe000_0000).to_be_bytes()),
    }
}

fn read_varint(input: &mut &[u8]) -> Option<u64> {
    let (&first, rest) = input.split_first()?;
    let more = first.leading_ones() as usize;
    // Four ones begin other kinds of numbers: 32 bits and more, or negative ones.
    let (tail, rest) = rest.split_at_checked(if more > 3 { return None } else { more })?;
    *input = rest;
    let head = u64::from(first & 0x7f >> more);
    Some(tail.iter().fold(head, |value, byte| value << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_of_every_length_read_as_they_were_written() {
        for value in [0, 0x7f, 0x80, 0x3fff, 0x4000, 0x1f_ffff, 0x20_0000, 0x0fff_ffff] {
            let mut bytes = Vec::new();
            varint(&mut bytes, value);
            let mut rest = bytes.as_slice();
            assert_eq!((read_varint(&mut rest), rest.len()), (Some(value), 0), "{value:#x}");
        }
    }

    #[test]
    fn messages_are_taken_whole() {
        let two = [framed(PING, b""), framed(SERVER_SYNC, b"\x08\x01")].concat();
        assert_eq!(message(&two), Some((PING, &b""[..], 6)));
        assert_eq!(message(&two[6..]), Some((SERVER_SYNC, &b"\x08\x01"[..], 8)));
        assert_eq!(message(&two[6..13]), None);
    }

    #[test]
    fn keys_are_found_by_their_field_numbers() {
        let mut body = Vec::new();
        for (field, byte) in [(1u8, 7u8), (2, 8), (3, 9)] {
            body.extend_from_slice(&[field << 3 | 2, 16]);
            body.extend_from_slice(&[byte; 16]);
        }
        assert_eq!(crypt_setup(&body), Some([[7; 16], [8; 16], [9; 16]]));
        assert_eq!(crypt_setup(&body[..36]), None);
    }

    #[test]
    fn a_heard_packet_has_the_session_before_the_sequence() {
        let mut packet = vec![OPUS, 5];
        packet.extend_from_slice(&[0x81, 0x00, 3]);
        packet.extend_from_slice(b"abc");
        assert_eq!(heard(&packet), Some(&b"abc"[..]));
        assert_eq!(heard(&ping()), None);
    }
}
