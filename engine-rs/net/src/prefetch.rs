//! Asks for memory before it is needed. What a thousand listeners need does not fit the nearest cache, and their order is known.
#![allow(unsafe_code)] // one instruction without effect on what a program computes

const LINE: usize = 64;

/// Brings a value's cache lines nearer. Does nothing where the processor has no such instruction that we know.
#[inline]
pub(crate) fn prefetch<T: ?Sized>(value: &T) {
    #[cfg(target_arch = "x86_64")]
    for offset in (0..size_of_val(value)).step_by(LINE) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: the address is within a live value; PREFETCHh reads nothing that the program could see and never faults.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(value).cast::<i8>().add(offset)) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (value, LINE);
}
