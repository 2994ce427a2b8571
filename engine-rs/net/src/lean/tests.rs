//! The lane by itself, under keys that hide nothing; and two whole ends of QUIC over a bad network, in virtual time.

use super::plain::{lane, phase};
use super::*;

mod allocations;
mod pair;

/// A packet to us.
fn packet(flags: u8, number: u16, frames: &[u8]) -> Vec<u8> {
    [&[0x41 | flags][..], b"our cid.", &number.to_be_bytes(), frames, &[0; TAG]].concat()
}

fn seal(lane: &Lane, now: Instant, datagram: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    (lane.seal(now, datagram, &mut out) == Sealed::Yes).then_some(out)
}

/// ACK of one closed range.
fn ack(low: u8, high: u8) -> Vec<u8> {
    vec![2, high, 0, 0, high - low]
}

#[test]
fn a_datagram_becomes_a_short_header_packet() {
    let now = Instant::now();
    let lane = lane(now);
    let packet = seal(&lane, now, b"bundle").unwrap();
    assert_eq!(packet, [&[0x41][..], b"peer", &[0, 0], &[DATAGRAM], b"bundle", &[0; TAG]].concat());
    assert_eq!(seal(&lane, now, b"bundle").unwrap()[5..7], [0, 1]);
    lane.lock().seal = Some(phase(1));
    assert_eq!(seal(&lane, now, b"bundle").unwrap()[0], 0x41 | KEY_PHASE);
    let mut out = Vec::new();
    for unfit in [&[][..], &[0; MAX_DATAGRAM + 1]] {
        assert_eq!(lane.seal(now, unfit, &mut out), Sealed::Unfit);
    }
    assert_eq!(lane.seal(now, &[0; MAX_DATAGRAM], &mut out), Sealed::Yes);
    assert!(out.len() <= PATH);
}

#[test]
fn a_packet_is_read_here_only_if_it_does_nothing_but_acknowledge_datagrams() {
    let now = Instant::now();
    let lane = lane(now);
    let mut scratch = BytesMut::new();
    let mut read = |packet: &[u8]| lane.open(now, packet, &mut scratch);
    for _ in 0..4 {
        seal(&lane, now, b"bundle").unwrap();
    }
    assert_eq!(lane.lock().numbers.take_for(0), 4);
    seal(&lane, now, b"bundle").unwrap();
    assert!(read(&packet(0, 1, &ack(0, 3))));
    assert!(read(&packet(0, 2, &[&ack(0, 3)[..], &[0, 0, 0]].concat())), "PADDING behind it");
    assert!(read(&packet(0, 3, &[&[3], &ack(0, 3)[1..], &[1, 2, 3]].concat())), "ECN counts");
    assert!(!read(&packet(0, 4, &ack(4, 4))), "quinn-proto's own packet");
    assert!(!read(&packet(0, 4, &ack(0, 5))), "quinn-proto's own packet among ours");
    assert!(!read(&packet(0, 4, &ack(0, 6))), "never sent");
    assert!(!read(&packet(0, 4, &[&ack(0, 3)[..], &[1]].concat())), "PING");
    assert!(!read(&packet(0, 4, &[&ack(0, 3)[..], &[0x1d, 0, 0]].concat())), "a close");
    assert!(!read(&packet(0, 4, &[0; 8])), "no ACK at all");
    assert!(!read(&packet(0, 4, &[&ack(0, 3)[..], &[0x2f]].concat())), "an unknown frame");
    assert!(!read(&packet(0, 4, &[2, 3, 0, 9, 0])), "an ACK cut short");
    assert!(!read(&packet(0, 4, &[2, 3, 0, 0, 4])), "a range below zero");
    assert!(!read(&packet(0, 3, &ack(0, 3))), "read before");
    assert!(!read(&packet(KEY_PHASE, 4, &ack(0, 3))), "a new key");
    assert!(!read(&packet(RESERVED, 4, &ack(0, 3))), "a reserved bit");
    let mut forged = packet(0, 4, &ack(0, 3));
    *forged.last_mut().unwrap() = 1;
    assert!(!read(&forged));
    for length in 0..packet(0, 4, &ack(0, 3)).len() {
        assert!(!read(&packet(0, 4, &ack(0, 3))[..length]), "cut to {length}");
    }
    assert_eq!(lane.totals(), (5, 0));
}

#[test]
fn quinn_proto_gets_four_packets_in_an_idle_timeout() {
    let start = Instant::now();
    let lane = lane(start);
    let (seconds, none) = (Duration::from_secs, Duration::ZERO);
    for (ends, every) in [([none; 2], 7_500), ([seconds(20), none], 5_000), ([seconds(20), seconds(8)], 2_000)] {
        lane.set_idle(ends);
        assert_eq!(lane.lock().report, Duration::from_millis(every));
    }
    let mut scratch = BytesMut::new();
    seal(&lane, start, b"bundle").unwrap();
    let mut given = 0;
    for n in 0..1_000u64 {
        let now = start + Duration::from_millis(20 * n);
        if !lane.open(now, &packet(0, n as u16, &ack(0, 0)), &mut scratch) {
            given += 1;
            // Forged packets are given to quinn-proto too, which then has heard nothing: only an opened one counts.
            if given % 3 == 0 {
                lane.lock().fed = true;
            }
        }
    }
    assert!((24..=30).contains(&given), "{given}");
}

#[test]
fn a_worn_key_asks_for_a_new_one_and_stops_before_its_limit() {
    let now = Instant::now();
    let lane = lane(now);
    assert!(!lane.wants_new_key());
    lane.lock().sealed = KEY_LIFE;
    assert!(lane.wants_new_key());
    assert!(seal(&lane, now, b"bundle").is_some());
    lane.lock().sealed = KEY_LIFE * 3 / 2;
    assert_eq!(seal(&lane, now, b"bundle"), None);
}

#[test]
fn packet_numbers_are_expanded_as_in_the_rfc() {
    // RFC 9000 §A.3.
    assert_eq!(expand(&[0x9b, 0x32], 0xa82f_30ea + 1), 0xa82f_9b32);
    for number in [0u64, 1, 127, 128, 255, 256, 65_535, 65_536, 1 << 40] {
        for ahead in [0u64, 1, 20] {
            let bytes = (number + ahead).to_be_bytes();
            assert_eq!(expand(&bytes[7..], number), number + ahead);
            assert_eq!(expand(&bytes[6..], number), number + ahead);
            assert_eq!(
                expand(&(number.saturating_sub(ahead)).to_be_bytes()[7..], number),
                number.saturating_sub(ahead)
            );
        }
    }
}

#[test]
fn acknowledgements_that_quinn_proto_opens_are_in_its_own_count() {
    let now = Instant::now();
    let lane = lane(now);
    let rewritten = |frames: &[u8]| {
        let mut payload = BytesMut::from(frames);
        rewrite::rewrite(&mut lane.lock(), &mut payload);
        payload.to_vec()
    };
    lane.lock().numbers.take_for(0);
    seal(&lane, now, b"bundle").unwrap();
    lane.lock().numbers.take_for(1);
    seal(&lane, now, b"bundle").unwrap();
    assert_eq!(rewritten(&[1, 6, 0, 2, 9, 9]), [1, 6, 0, 2, 9, 9], "nothing is acknowledged");
    // The largest is a datagram's: it was held back for longer than quinn-proto may believe.
    assert_eq!(rewritten(&[&[1], &ack(0, 3)[..], &[0x30, 7]].concat()), [1, 2, 1, 0x80, 0x10, 0, 0, 0, 1, 0x30, 7]);
    assert_eq!(rewritten(&ack(0, 3)), [0], "told already: what is left is PADDING");
    assert_eq!(rewritten(&[&ack(0, 3)[..], &[0x40]].concat()), [0x40], "what is malformed stays");
    assert_eq!(rewritten(&[0x2f, 1]), [0x2f, 1], "so does what is nothing else");
    assert_eq!(rewritten(&ack(0, 4))[..2], [2, 0xff], "never sent: a number that quinn-proto refuses");
    assert_eq!(lane.totals(), (2, 0));
    assert_eq!(lane.lock().numbers.take_for(2), 4);
    assert_eq!(
        rewritten(&[2, 4, 9, 0, 0]),
        [2, 2, 9, 0, 0],
        "its own packet is the largest: the delay is that packet's"
    );
}

#[test]
fn a_key_is_shared_out_between_both_senders() {
    let limit = 1 << 23; // RFC 9001 §6.6 for AES-GCM, and so `Plain`
    let quinn = crypto::limit_of_quinn(limit);
    assert!(KEY_LIFE + KEY_LIFE / 2 + quinn <= limit);
}
