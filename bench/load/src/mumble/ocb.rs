//! OCB2-AES128 as Mumble uses it for voice: four bytes before each packet (a byte of the counter, three of the tag).
//!
//! Rogaway, "Efficient Instantiations of Tweakable Blockciphers and Refinements to Modes OCB and PMAC" (2004), §7; Mumble's
//! protocol documentation, "UDP data". OCB2 is broken as authenticated encryption (Inoue et al. 2019); it is here because
//! mumble-server 1.3 speaks nothing else, and protects nothing but a bench.

use aes::cipher::{Array, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use aes::{Aes128, Block};

const BLOCK: usize = 16;
/// Bytes before a packet.
pub const OVERHEAD: usize = 4;

/// One connection's keys and counters.
pub struct Voice {
    cipher: Aes128,
    sending: u128,
    receiving: u128,
}

impl Voice {
    /// From CryptSetup: key, the client's counter, the server's.
    #[must_use]
    pub fn new(key: [u8; BLOCK], client_nonce: [u8; BLOCK], server_nonce: [u8; BLOCK]) -> Self {
        let cipher = Aes128::new(&Array::from(key));
        Self { cipher, sending: u128::from_le_bytes(client_nonce), receiving: u128::from_le_bytes(server_nonce) }
    }

    /// Encrypts a packet for the wire.
    pub fn seal(&mut self, plain: &[u8]) -> Vec<u8> {
        self.sending = self.sending.wrapping_add(1);
        let (cipher, tag) = self.run(self.sending, plain, Way::Seal);
        let [counter, ..] = self.sending.to_le_bytes();
        let [a, b, c, ..] = tag.to_be_bytes();
        let mut packet = vec![counter, a, b, c];
        packet.extend_from_slice(&cipher);
        packet
    }

    /// Decrypts a packet off the wire, in whatever order it comes; `None` if it is not authentic.
    pub fn open(&mut self, packet: &[u8]) -> Option<Vec<u8>> {
        let (&[counter, a, b, c], cipher) = packet.split_first_chunk::<OVERHEAD>()?;
        let [last, ..] = self.receiving.to_le_bytes();
        // The byte says the rest: no packet is more than 128 away from the newest.
        let ahead = counter.wrapping_sub(last).cast_signed();
        let nonce = self.receiving.wrapping_add_signed(i128::from(ahead));
        let (plain, tag) = self.run(nonce, cipher, Way::Open);
        if !tag.to_be_bytes().starts_with(&[a, b, c]) {
            return None;
        }
        if ahead > 0 {
            self.receiving = nonce;
        }
        Some(plain)
    }

    fn encrypt(&self, block: u128) -> u128 {
        let mut block: Block = Array::from(block.to_be_bytes());
        self.cipher.encrypt_block(&mut block);
        u128::from_be_bytes(block.0)
    }

    fn decrypt(&self, block: u128) -> u128 {
        let mut block: Block = Array::from(block.to_be_bytes());
        self.cipher.decrypt_block(&mut block);
        u128::from_be_bytes(block.0)
    }

    /// What comes out, and the tag.
    fn run(&self, nonce: u128, input: &[u8], way: Way) -> (Vec<u8>, u128) {
        let mut output = Vec::with_capacity(input.len());
        let mut delta = self.encrypt(u128::from_be_bytes(nonce.to_le_bytes()));
        let mut checksum = 0u128;
        // The last block is never empty, unless all is.
        let whole = input.len().saturating_sub(1) / BLOCK * BLOCK;
        let (blocks, last) = input.split_at(whole);
        for block in blocks.chunks_exact(BLOCK) {
            delta = double(delta);
            let block = padded(block);
            let out = match way {
                Way::Seal => self.encrypt(block ^ delta) ^ delta,
                Way::Open => self.decrypt(block ^ delta) ^ delta,
            };
            checksum ^= if way == Way::Seal { block } else { out };
            output.extend_from_slice(&out.to_be_bytes());
        }
        delta = double(delta);
        let pad = self.encrypt((last.len() as u128 * 8) ^ delta);
        let out = padded(last) ^ pad;
        output.extend(out.to_be_bytes().into_iter().take(last.len()));
        // The plain bytes, filled up with the pad's.
        let kept = u128::MAX.checked_shr(last.len() as u32 * 8).unwrap_or(0);
        let plain = if way == Way::Seal { padded(last) } else { out & !kept };
        checksum ^= plain | (pad & kept);
        (output, self.encrypt(delta ^ double(delta) ^ checksum))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Seal,
    Open,
}

fn padded(bytes: &[u8]) -> u128 {
    let mut block = [0; BLOCK];
    block.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    u128::from_be_bytes(block)
}

/// Multiplication by x in GF(2^128).
const fn double(value: u128) -> u128 {
    value << 1 ^ if value >> 127 == 1 { 0x87 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

    /// draft-krovetz-ocb-00 (OCB2), appendix: key and nonce 00…0f, the tags of the empty message and of three blocks' bytes,
    /// as in Mumble's own tests (`TestCrypt::testvectors`).
    #[test]
    fn it_is_the_ocb2_of_the_published_vectors() {
        let voice = Voice::new(KEY, KEY, KEY);
        let (cipher, tag) = voice.run(u128::from_le_bytes(KEY), &[], Way::Seal);
        assert!(cipher.is_empty());
        assert_eq!(format!("{tag:032x}"), "bf3108130773ad5ec70ec69e7875a7b0");
        let message: Vec<u8> = (0..40).collect();
        let (cipher, tag) = voice.run(u128::from_le_bytes(KEY), &message, Way::Seal);
        let hex: String = cipher.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "f75d6bc8b4dc8d66b836a2b08b32a6369f1cd3c5228d79fd6c267f5f6aa7b231c7dfb9d59951ae9c");
        assert_eq!(format!("{tag:032x}"), "9db0cdf880f73e3e10d4eb3217766688");
    }

    #[test]
    fn what_is_sealed_is_opened_in_any_order_and_no_bit_may_change() {
        let (mut server, mut client) = (Voice::new(KEY, [9; 16], [255; 16]), Voice::new(KEY, [255; 16], [9; 16]));
        let packets: Vec<_> = (0..40u8).map(|length| server.seal(&vec![length; usize::from(length)])).collect();
        for (length, packet) in (0..40u8).zip(&packets).rev() {
            assert_eq!(client.open(packet), Some(vec![length; usize::from(length)]), "{length}");
            for byte in 1..packet.len() {
                let mut broken = packet.clone();
                broken[byte] ^= 0x10;
                assert_eq!(client.open(&broken), None, "{length}: byte {byte}");
            }
        }
        assert_eq!(client.open(&[1, 2, 3]), None);
    }
}
