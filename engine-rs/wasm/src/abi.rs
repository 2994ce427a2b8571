//! The module's exports. Numbers are JavaScript's (f64 for times and groups, exact to 2⁵³).
//!
//! ```js
//! const receiver = spaces_create(20, 500, 40);          // milliseconds: least, most, first playout delay; 0: no more room
//! new Uint8Array(memory.buffer, spaces_input(receiver), bytes.length).set(bytes);   // up to 2048 bytes
//! spaces_push(receiver, nowUs, group, bytes.length);    // a bundle of track `stage` or `stage.1` came
//! spaces_push_mix(receiver, nowUs, group, bytes.length);    // a packet of track `mix` came
//! spaces_want(receiver, 1);                             // hear the stage (0, at first) or the mix (1) as soon as it can be
//! spaces_playing(receiver);                             // what is heard: 0 or 1; then the other track may be given up
//! spaces_pull(receiver, nowUs, samples);                // up to 5760
//! const pcm = new Float32Array(memory.buffer, spaces_output(receiver), samples);
//! spaces_gain(receiver, seat, 0.5);                     // one person's volume: 0 to 2
//! const levels = new Uint8Array(memory.buffer, spaces_speaking(receiver), 13);      // RFC 6464 level, 255: silent
//! const stats = new Float64Array(memory.buffer, spaces_stats(receiver), 15);        // order of PlayoutStats
//! spaces_destroy(receiver);
//! ```
//! `nowUs` of push and pull is one clock, in microseconds. Make views anew after each call: memory may have grown. A
//! receiver that does not exist is ignored (pointers are then 0). Should the decoder trap, instantiate the module again.
//!
//! The workspace denies `unsafe`; this file is the exception, for one reason: an export needs `#[unsafe(no_mangle)]`, and
//! the names begin with `spaces_`, so that they meet no other symbol. There is no unsafe block: handles are indices, and
//! the caller reads and writes buffers that the module owns, between calls, by addresses that the module tells.
#![allow(unsafe_code, reason = "exports need #[unsafe(no_mangle)]; see the module's documentation")]

use std::cell::RefCell;

use bytes::Bytes;
use spaces_core::engine::Tier;
use spaces_core::ids::{MAX_SEATS, SeatNo};
use spaces_core::mix_bundle;
use spaces_core::playout::{PlayoutConfig, PlayoutStats};
use spaces_core::tier_receiver::TierReceiver;
use spaces_core::time::Time;

use crate::RopusDecoder;

/// Receivers at once: a page needs one, and a second while it changes over.
const MOST_RECEIVERS: usize = 16;
const INPUT_BYTES: usize = 2_048;
const OUTPUT_SAMPLES: usize = 5_760;
/// In [`spaces_speaking`]: the seat is not heard.
const SILENT: u8 = 255;

struct Slot {
    receiver: TierReceiver<RopusDecoder, RopusDecoder>,
    input: Vec<u8>,
    output: Vec<f32>,
    speaking: [u8; MAX_SEATS],
    stats: [f64; 15],
}

thread_local! {
    static SLOTS: RefCell<Vec<Option<Box<Slot>>>> = const { RefCell::new(Vec::new()) };
}

/// Runs `act` on a receiver; the default, if there is none.
fn with<T: Default>(receiver: u32, act: impl FnOnce(&mut Slot) -> T) -> T {
    let Some(index) = (receiver as usize).checked_sub(1) else { return T::default() };
    SLOTS.with_borrow_mut(|slots| {
        slots.get_mut(index).and_then(Option::as_mut).map(|slot| act(slot)).unwrap_or_default()
    })
}

fn time(now_us: f64) -> Time {
    // NaN and what is below 0 are 0.
    Time(now_us as u64)
}

/// A new receiver; 0 if there are 16.
#[unsafe(no_mangle)]
pub extern "C" fn spaces_create(min_ms: u32, max_ms: u32, start_ms: u32) -> u32 {
    let ms = |value: u32| u16::try_from(value).unwrap_or(u16::MAX);
    let config = PlayoutConfig { min_ms: ms(min_ms), max_ms: ms(max_ms), start_ms: ms(start_ms) };
    let slot = Box::new(Slot {
        receiver: TierReceiver::new(config, Tier::Stage, RopusDecoder::new, RopusDecoder::new()),
        input: vec![0; INPUT_BYTES],
        output: vec![0.0; OUTPUT_SAMPLES],
        speaking: [SILENT; MAX_SEATS],
        stats: [0.0; 15],
    });
    SLOTS.with_borrow_mut(|slots| {
        let free = slots.iter().position(Option::is_none).unwrap_or(slots.len());
        if free >= MOST_RECEIVERS {
            return 0;
        }
        if free == slots.len() {
            slots.push(None);
        }
        if let Some(place) = slots.get_mut(free) {
            *place = Some(slot);
        }
        free as u32 + 1
    })
}

/// Frees a receiver. Its number may be used again.
#[unsafe(no_mangle)]
pub extern "C" fn spaces_destroy(receiver: u32) {
    let Some(index) = (receiver as usize).checked_sub(1) else { return };
    SLOTS.with_borrow_mut(|slots| {
        if let Some(place) = slots.get_mut(index) {
            *place = None;
        }
    });
}

/// Where the caller writes a payload: 2,048 bytes.
#[unsafe(no_mangle)]
pub extern "C" fn spaces_input(receiver: u32) -> usize {
    with(receiver, |slot| slot.input.as_mut_ptr().expose_provenance())
}

/// A bundle of `group` came at `now_us`: the first `length` bytes of the input.
#[unsafe(no_mangle)]
pub extern "C" fn spaces_push(receiver: u32, now_us: f64, group: f64, length: u32) {
    with(receiver, |slot| {
        if let Some(payload) = slot.input.get(..length as usize) {
            slot.receiver.push_stage(time(now_us), group as u64, &Bytes::copy_from_slice(payload));
        }
    });
}

/// A packet of the mix of `group` came at `now_us`: the first `length` bytes of the input. What is none is ignored.
#[unsafe(no_mangle)]
pub extern "C" fn spaces_push_mix(receiver: u32, now_us: f64, group: f64, length: u32) {
    with(receiver, |slot| {
        if let Some(payload) = slot.input.get(..length as usize)
            && let Ok(packet) = mix_bundle::parse(group as u64, &Bytes::copy_from_slice(payload))
        {
            slot.receiver.push_mix(time(now_us), packet);
        }
    });
}

/// What is to be heard: 0 the stage, anything else the mix.
#[unsafe(no_mangle)]
pub extern "C" fn spaces_want(receiver: u32, mix: u32) {
    with(receiver, |slot| slot.receiver.want(if mix == 0 { Tier::Stage } else { Tier::Mix }));
}

/// What is heard: 0 the stage, 1 the mix.
#[unsafe(no_mangle)]
pub extern "C" fn spaces_playing(receiver: u32) -> u32 {
    with(receiver, |slot| u32::from(slot.receiver.playing() == Tier::Mix))
}

/// Where [`spaces_pull`] leaves its samples: 32-bit floats.
#[unsafe(no_mangle)]
pub extern "C" fn spaces_output(receiver: u32) -> usize {
    with(receiver, |slot| slot.output.as_ptr().expose_provenance())
}

/// Fills the output with `samples` of 48 kHz mono, at `now_us`. Answers how many: 0 if they
/// are more than 5,760.
#[unsafe(no_mangle)]
pub extern "C" fn spaces_pull(receiver: u32, now_us: f64, samples: u32) -> u32 {
    with(receiver, |slot| {
        let Some(out) = slot.output.get_mut(..samples as usize) else { return 0 };
        slot.receiver.pull_f32(time(now_us), out);
        samples
    })
}

/// One seat's volume in the mix, from the next tick on: 0 is silence, 1 as it was sent, 2 the most.
#[unsafe(no_mangle)]
pub extern "C" fn spaces_gain(receiver: u32, seat: u32, gain: f32) {
    with(receiver, |slot| {
        if let Some(seat) = u8::try_from(seat).ok().and_then(SeatNo::new) {
            slot.receiver.set_gain(seat, gain);
        }
    });
}

/// Where the levels of the 13 seats are, as heard in what was pulled last: RFC 6464, or 255 for silence.
#[unsafe(no_mangle)]
pub extern "C" fn spaces_speaking(receiver: u32) -> usize {
    with(receiver, |slot| {
        slot.speaking = [SILENT; MAX_SEATS];
        for speaking in slot.receiver.speaking() {
            if let Some(level) = slot.speaking.get_mut(speaking.seat.index()) {
                *level = speaking.level.minus_dbov();
            }
        }
        slot.speaking.as_ptr().expose_provenance()
    })
}

/// Where the statistics are: 15 numbers in the order of [`PlayoutStats`].
#[unsafe(no_mangle)]
pub extern "C" fn spaces_stats(receiver: u32) -> usize {
    with(receiver, |slot| {
        slot.stats = numbers(&slot.receiver.stats());
        slot.stats.as_ptr().expose_provenance()
    })
}

fn numbers(stats: &PlayoutStats) -> [f64; 15] {
    let PlayoutStats {
        pulled_samples,
        decoded_samples,
        fec_samples,
        concealed_samples,
        removed_samples,
        inserted_samples,
        late_packets,
        duplicate_packets,
        redundant_packets,
        refused_packets,
        skipped_ticks,
        stalls,
        restarts,
        target_ms,
        delay_ms,
    } = *stats;
    [
        pulled_samples,
        decoded_samples,
        fec_samples,
        concealed_samples,
        removed_samples,
        inserted_samples,
        late_packets,
        duplicate_packets,
        redundant_packets,
        refused_packets,
        skipped_ticks,
        stalls,
        restarts,
        u64::from(target_ms),
        u64::from(delay_ms),
    ]
    .map(|number| number as f64)
}
