//! Which shard a packet belongs to: the first two bytes of its destination connection ID say so, xor each other, modulo the
//! number of shards.
//!
//! The same rule stands three times, and a test holds them together: in our own connection IDs ([`ShardCid`](crate::quic)), in
//! [`shard_of`] for what still reaches the wrong shard, and in the program with which the kernel chooses among the sockets of
//! our port (`SO_ATTACH_REUSEPORT_CBPF`, socket(7)). Without the program the kernel chooses by addresses: a peer that moves
//! then reaches a shard that passes its packets on.
//!
//! A client's first connection ID is random (RFC 9000 §7.2), so first packets spread evenly, and those of one handshake go to
//! one shard. Where the connection lives is decided there: see [`crate::group`].

use libc::sock_filter;

/// Flags of a long header (RFC 9000 §17.2): header form, and the packet's type in the two bits below the fixed one.
const LONG: u8 = 0x80;
const TYPE: u8 = 0x30;
/// Where a long header has the length of the connection ID, and a short one the ID itself.
const LONG_LENGTH: usize = 5;
const SHORT_ID: usize = 1;

// linux/bpf_common.h, and "any" for what the kernel shall choose by addresses: more than there can be sockets.
const LOAD_BYTE: u16 = 0x30;
const JUMP_IF_SET: u16 = 0x45;
const JUMP_IF_GREATER: u16 = 0x25;
const MOVE_TO_X: u16 = 0x07;
const XOR_X: u16 = 0xac;
const MODULO: u16 = 0x94;
const RETURN_A: u16 = 0x16;
const RETURN: u16 = 0x06;
const ANY: u32 = u32::MAX;

/// The packet's destination connection ID; of a short header, which does not tell its end, all that may be of it.
fn connection_id(packet: &[u8]) -> Option<&[u8]> {
    if packet.first()? & LONG == 0 {
        return packet.get(SHORT_ID..);
    }
    let length = usize::from(*packet.get(LONG_LENGTH)?);
    packet.get(LONG_LENGTH + 1..)?.get(..length)
}

/// The shard that a packet names; `None` if it names none, or is too short to.
pub(crate) fn shard_of(packet: &[u8], shards: u8) -> Option<u8> {
    match connection_id(packet)? {
        [first, second, ..] => (first ^ second).checked_rem(shards),
        _ => None,
    }
}

/// The connection ID of an Initial packet (RFC 9000 §17.2.2), which may be one that its sender made up.
pub(crate) fn initial_id(packet: &[u8]) -> Option<&[u8]> {
    // Version 0 is a negotiation, and of later versions we know none.
    let version = packet.get(1..LONG_LENGTH)?;
    (packet.first()? & (LONG | TYPE) == LONG && version == [0, 0, 0, 1]).then(|| connection_id(packet))?
}

/// The program that chooses the socket of a packet: sockets are numbered as they were bound, which is as shards are.
pub(crate) fn program(shards: u8) -> Vec<sock_filter> {
    let step = |code, k| sock_filter { code, jt: 0, jf: 0, k };
    let choose = |id: usize| {
        [
            step(LOAD_BYTE, id as u32 + 1),
            step(MOVE_TO_X, 0),
            step(LOAD_BYTE, id as u32),
            step(XOR_X, 0),
            step(MODULO, u32::from(shards.max(1))),
            step(RETURN_A, 0),
        ]
    };
    let mut program = vec![
        step(LOAD_BYTE, 0),
        // A short header: over the next eight.
        sock_filter { code: JUMP_IF_SET, jt: 0, jf: 9, k: LONG.into() },
        step(LOAD_BYTE, LONG_LENGTH as u32),
        sock_filter { code: JUMP_IF_GREATER, jt: 1, jf: 0, k: 1 },
        step(RETURN, ANY),
    ];
    program.extend(choose(LONG_LENGTH + 1));
    program.extend(choose(SHORT_ID));
    program
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;
    use crate::udp::{ReceiveBatch, Socket};

    fn long(kind: u8, id: &[u8]) -> Vec<u8> {
        let mut packet = vec![0xc0 | kind << 4, 0, 0, 0, 1, id.len() as u8];
        packet.extend_from_slice(id);
        packet.extend([0; 24]);
        packet
    }

    #[test]
    fn a_packet_names_its_shard_by_the_first_two_bytes_of_its_id() {
        assert_eq!(shard_of(&[0x40, 7 ^ 9, 9, 1, 1], 8), Some(7));
        assert_eq!(shard_of(&[0x40, 7 ^ 9, 9, 1, 1], 4), Some(3));
        for kind in 0..4 {
            assert_eq!(shard_of(&long(kind, &[2 ^ 200, 200, 5, 5]), 4), Some(2));
            assert_eq!(initial_id(&long(kind, &[1, 2, 3])), (kind == 0).then_some(&[1, 2, 3][..]));
        }
        for packet in [&[][..], &[0x40], &[0x40, 1], &[0xc0, 0, 0, 0, 1], &[0xc0, 0, 0, 0, 1, 9, 1, 2], &long(0, &[1])]
        {
            assert_eq!(shard_of(packet, 4), None, "{packet:?}");
        }
        assert_eq!(shard_of(&[0x40, 1, 2], 0), None);
    }

    /// The kernel's choice is ours, for every kind of packet, and even.
    #[test]
    fn the_kernel_chooses_as_we_do() {
        for shards in [1u8, 2, 3, 7] {
            let mut sockets = vec![Socket::bind("127.0.0.1:0".parse().unwrap(), false).unwrap()];
            let address = sockets[0].local_addr();
            assert!(Socket::bind(address, true).is_err(), "nobody comes in uninvited");
            sockets[0].let_others_in().unwrap();
            sockets.extend((1..shards).map(|_| Socket::bind(address, true).unwrap()));
            if shards > 1 {
                sockets.last().unwrap().steer(&program(shards)).unwrap();
            }
            // From one address: by addresses all would reach one socket.
            let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
            let mut counts = vec![0usize; usize::from(shards)];
            let mut batch = Box::<ReceiveBatch>::default();
            for _ in 0..600 {
                let id: [u8; 8] = rand::rng().random();
                let packet = match id[7] % 3 {
                    0 => [&[0x40], &id[..], &[0; 20]].concat(),
                    1 => long(0, &id),
                    _ => long(2, &id),
                };
                sender.send_to(&packet, address).unwrap();
                let meant = usize::from(shard_of(&packet, shards).unwrap());
                while sockets[meant].receive(&mut batch).unwrap() == 0 {
                    for (number, socket) in sockets.iter().enumerate().filter(|(number, _)| *number != meant) {
                        assert_eq!(socket.receive(&mut batch).unwrap(), 0, "{packet:?} at {number}, not {meant}");
                    }
                }
                assert_eq!(batch.iter().next().unwrap().bytes, packet);
                counts[meant] += 1;
            }
            let fair = 600 / usize::from(shards);
            assert!(counts.iter().all(|count| count.abs_diff(fair) <= fair / 3 + 20), "{counts:?}");
        }
    }
}
