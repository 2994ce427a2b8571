//! Asks for memory before it is needed. What a thousand listeners need does not fit the nearest cache, and their order is known.
#![allow(unsafe_code)] // one instruction without effect on what a program computes

const LINE: usize = 64;

/// Brings a value's cache lines nearer. Does nothing where the processor has no such instruction that we know.
#[inline]
pub(crate) fn prefetch<T: ?Sized>(value: &T) {
    let (start, size) = (std::ptr::from_ref(value).cast::<u8>(), size_of_val(value));
    for offset in (0..size).step_by(LINE) {
        prefetch_line(start.wrapping_add(offset));
    }
    // A value that does not begin with a line may end in one more.
    prefetch_line(start.wrapping_add(size.saturating_sub(1)));
}

/// The same for the cache line at an address, whatever is there.
#[inline]
pub(crate) fn prefetch_line(address: *const u8) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: PREFETCHh reads nothing that the program could see, and never faults, wherever it points.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast::<i8>()) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}
