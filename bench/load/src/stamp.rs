//! The Opus packet of the bench: when it was due, whose it is, which one, and a filling that anyone can check.
//!
//! ```text
//! TOC (1) | due, µs (8) | speaker (1) | sequence (4) | filling from speaker and sequence (66)
//! ```
//! 80 bytes every 20 ms are 32 kbit/s. The stamp is when the frame was *due*, not when it left: a speaker or listener that
//! stalls makes frames late, it does not make them disappear from the figures (coordinated omission).

/// Bytes of a packet: 32 kbit/s in 20 ms.
pub const OPUS_BYTES: usize = 80;
/// Microseconds between frames.
pub const TICK_US: u64 = 20_000;
/// TOC of a 20 ms CELT fullband mono packet, one frame (RFC 6716 §3.1).
const TOC: u8 = 0xf8;
const HEAD: usize = 14;

/// What a packet says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// When it was due, in microseconds of [`crate::clock::now_us`].
    pub due_us: u64,
    /// Whose it is.
    pub speaker: u8,
    /// How many its speaker sent before.
    pub sequence: u32,
}

impl Stamp {
    /// The packet that says this.
    #[must_use]
    pub fn packet(&self) -> Vec<u8> {
        let mut packet = Vec::with_capacity(OPUS_BYTES);
        packet.push(TOC);
        packet.extend_from_slice(&self.due_us.to_be_bytes());
        packet.push(self.speaker);
        packet.extend_from_slice(&self.sequence.to_be_bytes());
        packet.extend(self.filling());
        packet
    }

    /// What `packet` says; `None` if it is none of ours.
    #[must_use]
    pub fn read(packet: &[u8]) -> Option<Self> {
        let (&[toc, a, b, c, d, e, f, g, h, speaker, s, t, u, v], filling) = packet.split_first_chunk::<HEAD>()?;
        (toc == TOC && filling.len() == OPUS_BYTES - HEAD).then(|| Self {
            due_us: u64::from_be_bytes([a, b, c, d, e, f, g, h]),
            speaker,
            sequence: u32::from_be_bytes([s, t, u, v]),
        })
    }

    /// Whether every byte of `packet` is as it was sent.
    #[must_use]
    pub fn is_whole(&self, packet: &[u8]) -> bool {
        packet.get(HEAD..).is_some_and(|filling| filling.iter().copied().eq(self.filling()))
    }

    /// xorshift (Marsaglia 2003), seeded by whose and which.
    fn filling(&self) -> impl Iterator<Item = u8> {
        let mut state = (self.sequence ^ u32::from(self.speaker) << 24) | 1;
        (0..OPUS_BYTES - HEAD).map(move |_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state as u8
        })
    }
}

/// When a speaker's frames are due.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    start_us: u64,
    next: u32,
}

impl Schedule {
    /// The first frame is due at `start_us`.
    #[must_use]
    pub fn new(start_us: u64) -> Self {
        Self { start_us, next: 0 }
    }

    /// When the next frame is due.
    #[must_use]
    pub fn next_us(&self) -> u64 {
        self.start_us + u64::from(self.next) * TICK_US
    }

    /// The next frame's number and due time, if that has come; to be called until it says no.
    pub fn take(&mut self, now_us: u64) -> Option<(u32, u64)> {
        let due = self.next_us();
        (due <= now_us).then(|| {
            self.next += 1;
            (self.next - 1, due)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_reads_as_it_was_written_and_any_flipped_bit_is_seen() {
        let stamp = Stamp { due_us: 1_234_567_890_123, speaker: 9, sequence: 70_000 };
        let packet = stamp.packet();
        assert_eq!(packet.len(), OPUS_BYTES);
        assert_eq!(Stamp::read(&packet), Some(stamp));
        assert!(stamp.is_whole(&packet));
        for byte in HEAD..OPUS_BYTES {
            let mut broken = packet.clone();
            broken[byte] ^= 1;
            assert!(!stamp.is_whole(&broken), "byte {byte}");
        }
        assert_eq!(Stamp::read(&packet[..OPUS_BYTES - 1]), None);
    }

    #[test]
    fn a_stalled_speaker_owes_every_frame_with_the_time_it_was_due() {
        let mut schedule = Schedule::new(1_000);
        assert_eq!(schedule.take(999), None);
        let owed: Vec<_> = std::iter::from_fn(|| schedule.take(1_000 + 3 * TICK_US)).collect();
        assert_eq!(owed, [(0, 1_000), (1, 21_000), (2, 41_000), (3, 61_000)]);
    }
}
