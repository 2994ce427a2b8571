// The two variable-length integers of the wire. Each codec says from the first byte how long the integer is, reads it, and
// appends one to an array of bytes. Values are JS numbers: identifiers above 2^53 (random origin ids) lose their low bits,
// which is harmless because this client never sends one back.

/** QUIC variable-length integers (RFC 9000 §16): moq-lite, and lengths within our own payloads. */
export const quic = {
  length: (first) => 1 << (first >> 6),
  read(bytes, at, length) {
    let value = bytes[at] & 0x3f;
    for (let i = 1; i < length; i++) value = value * 256 + bytes[at + i];
    return value;
  },
  write(out, value) {
    if (value < 0x40) out.push(value);
    else if (value < 0x4000) append(out, value, 2, 0x40);
    else if (value < 0x4000_0000) append(out, value, 4, 0x80);
    else append(out, value, 8, 0xc0);
  },
};

/** MoQT's vi64 (draft-ietf-moq-transport-18 §1.4.1): the count of leading one bits is the count of bytes that follow. */
export const vi64 = {
  length: (first) => (first === 0xff ? 9 : Math.clz32((~first & 0xff) << 24) + 1),
  read(bytes, at, length) {
    let value = length >= 8 ? 0 : bytes[at] & (0xff >> length);
    for (let i = 1; i < length; i++) value = value * 256 + bytes[at + i];
    return value;
  },
  write(out, value) {
    // The 7-byte form exists since draft 18 only and older peers refuse it; 8 bytes hold every JS integer.
    for (let length = 1; length <= 6; length++) {
      if (value < 2 ** (7 * length)) return append(out, value, length, (0xff << (9 - length)) & 0xff);
    }
    append(out, value, 8, 0xfe);
  },
};

function append(out, value, length, mark) {
  const bytes = new Array(length);
  for (let i = length - 1; i >= 0; i--) {
    bytes[i] = value % 256;
    value = Math.floor(value / 256);
  }
  bytes[0] |= mark;
  out.push(...bytes);
}
