// The stage bundle: all seats heard in one tick of 20 ms. Group id = tick; entries until the payload's end:
//   head | level | length (QUIC varint) | Opus packet
//   head: bits 0–3 seat, bit 4 first frame of a talkspurt, bit 5 last one, bit 6 belongs to the group before, bit 7 zero

import { Cursor, WireError, Writer } from "./wire/bytes.js";
import { quic } from "./wire/varint.js";
import { MAX_FRAME } from "./uplink.js";

/** Seats on a stage. */
export const SEATS = 13;

const START = 1 << 4;
const END = 1 << 5;
const REDUNDANT = 1 << 6;
const RESERVED = 1 << 7;

/** The entries of a payload: `{seat, level, voice, start, end, redundant, opus}`. Throws [WireError] on anything else. */
export function decodeBundle(payload) {
  const cursor = new Cursor(payload, quic);
  const entries = [];
  while (cursor.left > 0) {
    const head = cursor.u8();
    const level = cursor.u8();
    const seat = head & 0x0f;
    if (seat >= SEATS || head & RESERVED) throw new WireError(`unknown bundle entry head ${head}`);
    const length = cursor.int();
    if (length === 0 || length > MAX_FRAME) throw new WireError(`bundle entry of ${length} bytes`);
    entries.push({
      seat,
      level: level & 0x7f,
      voice: (level & 0x80) !== 0,
      start: (head & START) !== 0,
      end: (head & END) !== 0,
      redundant: (head & REDUNDANT) !== 0,
      opus: cursor.bytes(length),
    });
  }
  return entries;
}

/** The inverse, for tests and tools. */
export function encodeBundle(entries) {
  const writer = new Writer(quic);
  for (const { seat, level, voice, start, end, redundant, opus } of entries) {
    writer.u8(seat | (start ? START : 0) | (end ? END : 0) | (redundant ? REDUNDANT : 0));
    writer.u8((level & 0x7f) | (voice ? 0x80 : 0)).int(opus.length).bytes(opus);
  }
  return writer.done();
}
