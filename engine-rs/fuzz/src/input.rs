//! Choices out of the fuzzer's bytes. When they are used up, there are no more.

/// The bytes that are left.
pub struct Input<'a>(pub &'a [u8]);

impl<'a> Input<'a> {
    /// One byte.
    pub fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// As many bytes as the first one says, or what there is.
    pub fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::from(self.byte()?);
        let (bytes, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        Some(bytes)
    }

    /// A number of `0` to `2^32 − 1`, mostly a small one.
    pub fn number(&mut self) -> Option<u64> {
        Some(match self.byte()? {
            small @ 0..=239 => u64::from(small),
            _ => self.bytes4()?,
        })
    }

    fn bytes4(&mut self) -> Option<u64> {
        (0..4).try_fold(0, |number, _| Some(number << 8 | u64::from(self.byte()?)))
    }
}
