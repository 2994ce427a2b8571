//! Which of the peer's packets were read: each is taken once, by whichever reader comes first.
//!
//! RFC 9000 §12.3: a packet whose number was seen before is discarded. quinn-proto has such a list of its own, but nothing stands in it
//! of what the lean path has read; without this one a copy of such a packet, sent on from another address, would be new to
//! quinn-proto and look like a peer that has moved (§9.3.3).

/// Numbers that are looked back upon; what is older counts as seen (RFC 9000 §13.2.3 allows it).
const SPAN: u64 = 128;

/// See the module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Received {
    /// Bit i: the packet `highest - i` was read.
    seen: u128,
    highest: u64,
}

impl Received {
    /// The highest number read, or 0.
    pub(super) const fn highest(&self) -> u64 {
        self.highest
    }

    /// Has nobody read it?
    pub(super) const fn is_new(&self, number: u64) -> bool {
        match self.highest.checked_sub(number) {
            None => true,
            Some(behind) => behind < SPAN && self.seen >> behind & 1 == 0,
        }
    }

    /// It was read, and its tag was right.
    pub(super) const fn insert(&mut self, number: u64) {
        match self.highest.checked_sub(number) {
            Some(behind) if behind < SPAN => self.seen |= 1 << behind,
            Some(_) => {}
            None => {
                let ahead = number - self.highest;
                self.seen = if ahead < SPAN { self.seen << ahead | 1 } else { 1 };
                self.highest = number;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_is_new_once_in_whatever_order() {
        let mut received = Received::default();
        for number in [0, 1, 5, 3, 131, 2, 4, 130, 1 << 40] {
            let old = number + SPAN <= received.highest();
            assert_eq!(received.is_new(number), !old, "{number}");
            received.insert(number);
            assert!(!received.is_new(number), "{number}");
        }
        assert_eq!(received.highest(), 1 << 40);
    }

    #[test]
    fn what_lies_too_far_back_counts_as_seen() {
        let mut received = Received::default();
        received.insert(200);
        assert!(received.is_new(200 - SPAN + 1));
        assert!(!received.is_new(200 - SPAN));
        received.insert(0);
        assert_eq!(received.highest(), 200);
    }
}
