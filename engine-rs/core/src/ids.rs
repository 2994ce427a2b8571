//! Names of things. Each is its own type, so that a seat never passes for a session.

use core::fmt;

/// Seats on a stage: host, co-hosts and speakers together.
pub const MAX_SEATS: usize = 13;

/// A Space: the control plane's u64 snowflake, and the engine's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpaceId(pub u64);

/// Digits of [`SpaceId`]'s text form, in order of value.
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

impl SpaceId {
    /// Reads the base62 form, as it stands in links and namespaces: 1 to 11 of `[0-9A-Za-z]`. Leading zeros are refused,
    /// so that a Space has one name.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        if text.is_empty() || text.len() > 11 || (text.len() > 1 && text.first() == Some(&b'0')) {
            return None;
        }
        let mut value = 0u64;
        for byte in text {
            let digit = BASE62.iter().position(|b| b == byte)?;
            value = value.checked_mul(62)?.checked_add(digit as u64)?;
        }
        Some(Self(value))
    }
}

impl fmt::Display for SpaceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = [0u8; 11];
        let mut value = self.0;
        let mut used = 0;
        for slot in digits.iter_mut().rev() {
            *slot = BASE62.get((value % 62) as usize).copied().unwrap_or(b'0');
            value /= 62;
            used += 1;
            if value == 0 {
                break;
            }
        }
        let text = digits.get(11 - used..).unwrap_or_default();
        f.write_str(core::str::from_utf8(text).unwrap_or("0"))
    }
}

/// An account of the deployment, or 0 for a logged-out listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(pub u64);

/// A seat on the stage, 0 to 12.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeatNo(u8);

impl SeatNo {
    /// `None` outside 0..13.
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        if (number as usize) < MAX_SEATS { Some(Self(number)) } else { None }
    }
    /// 0 to 12.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
    /// 0 to 12, as an index.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
    /// The bit of this seat in a [`SeatMask`].
    #[must_use]
    pub const fn bit(self) -> SeatMask {
        1 << self.0
    }
}

/// A set of seats, bit n for seat n.
pub type SeatMask = u16;

/// A connection as the caller names it: the index of its slot on this shard.
/// The caller may reuse a key once it has called `Engine::leave` for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionKey(pub u32);

/// The session id in a join token (`sid`). The newest connection of a `sid` wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sid(pub u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_space_has_one_name() {
        for id in [0, 1, 61, 62, 1_234_567_890_123, u64::MAX] {
            let text = SpaceId(id).to_string();
            assert!(text.len() <= 11);
            assert_eq!(SpaceId::parse(text.as_bytes()), Some(SpaceId(id)));
        }
        for bad in [&b""[..], b"01", b"zzzzzzzzzzz", b"a-b", b"000000000000", "é".as_bytes()] {
            assert_eq!(SpaceId::parse(bad), None, "{bad:?}");
        }
    }
}
