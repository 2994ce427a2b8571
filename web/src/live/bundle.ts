// The stage bundle: all seats heard in one tick of 20 ms. Group id = tick; entries until the payload's end:
//   head | level | length (QUIC varint) | Opus packet
//   head: bits 0–3 seat, bit 4 first frame of a talkspurt, bit 5 last one, bit 6 belongs to the group before, bit 7 zero
// The receiver (WebAssembly) reads it; here only who speaks in it is read, for the test tap.

import { Cursor } from "./wire/bytes";
import { quic } from "./wire/varint";

/** Seats on a stage. */
export const SEATS = 13;

/** Whose frames a payload holds; of a payload that is no bundle, those before the mistake. */
export function seatsOf(payload: Uint8Array): Set<number> {
  const seats = new Set<number>();
  const cursor = new Cursor(payload, quic);
  try {
    while (cursor.left > 0) {
      const seat = cursor.u8() & 0x0f;
      cursor.u8();
      cursor.bytes(cursor.int());
      if (seat < SEATS) seats.add(seat);
    }
  } catch {
    // cut short: the receiver counts it
  }
  return seats;
}
