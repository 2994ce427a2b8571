// The two variable-length integers of the wire. Each codec says from the first byte how long the integer is, reads it, and
// appends one to an array of bytes. Values are JS numbers: identifiers above 2^53 (random origin ids) lose their low bits,
// which is harmless because this client never sends one back.

export interface Codec {
  /** Bytes of the integer that begins with this one. */
  length(first: number): number;
  read(bytes: Uint8Array, at: number, length: number): number;
  write(out: number[], value: number): void;
}

/** QUIC variable-length integers (RFC 9000 §16): moq-lite, and lengths within our own payloads. */
export const quic: Codec = {
  length: (first) => 1 << (first >> 6),
  read: (bytes, at, length) => rest((bytes[at] ?? 0) & 0x3f, bytes, at, length),
  write(out, value) {
    if (value < 0x40) out.push(value);
    else if (value < 0x4000) append(out, value, 2, 0x40);
    else if (value < 0x4000_0000) append(out, value, 4, 0x80);
    else append(out, value, 8, 0xc0);
  },
};

/** MoQT's vi64 (draft-ietf-moq-transport-18 §1.4.1): the count of leading one bits is the count of bytes that follow. */
export const vi64: Codec = {
  length: (first) => (first === 0xff ? 9 : Math.clz32((~first & 0xff) << 24) + 1),
  read: (bytes, at, length) => rest(length >= 8 ? 0 : (bytes[at] ?? 0) & (0xff >> length), bytes, at, length),
  write(out, value) {
    // The 7-byte form exists since draft 18 only and older peers refuse it; 8 bytes hold every JS integer.
    for (let length = 1; length <= 6; length++) {
      if (value < 2 ** (7 * length)) return append(out, value, length, (0xff << (9 - length)) & 0xff);
    }
    append(out, value, 8, 0xfe);
  },
};

function rest(first: number, bytes: Uint8Array, at: number, length: number): number {
  let value = first;
  for (let i = 1; i < length; i++) value = value * 256 + (bytes[at + i] ?? 0);
  return value;
}

function append(out: number[], value: number, length: number, mark: number): void {
  const from = out.length;
  let left = value;
  for (let i = 0; i < length; i++) out.push(0);
  for (let i = length - 1; i >= 0; i--) {
    out[from + i] = left % 256;
    left = Math.floor(left / 256);
  }
  out[from] = (out[from] ?? 0) | mark;
}
