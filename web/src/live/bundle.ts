// The stage bundle: all seats heard in one tick of 20 ms. Group id = tick; entries until the payload's end:
//   head | level | length (QUIC varint) | Opus packet
//   head: bits 0–3 seat, bit 4 first frame of a talkspurt, bit 5 last one, bit 6 belongs to the group before, bit 7 zero
// The receiver (WebAssembly) reads it; here only who speaks in it is read, for the test tap.

import { quic } from "./wire/varint";

/** Seats on a stage. */
export const SEATS = 13;

/**
 * Whose frames a payload holds; of a payload that is no bundle, those before the mistake. It runs in the audio thread, where
 * there is no TextDecoder, so it does without the wire's cursor.
 */
export function seatsOf(payload: Uint8Array): Set<number> {
  const seats = new Set<number>();
  for (let at = 0; at + 2 < payload.length; ) {
    const seat = (payload[at] ?? 0) & 0x0f;
    const size = quic.length(payload[at + 2] ?? 0);
    if (seat < SEATS) seats.add(seat);
    at += 2 + size + quic.read(payload, at + 2, size);
  }
  return seats;
}
