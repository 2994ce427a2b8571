// Reading and writing messages: `Writer` builds one, `Cursor` reads a whole one, `StreamReader` reads from a stream as its
// bytes come. All three know which integer encoding their protocol uses.

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/** Bytes of a peer that are not what the protocol says. */
export class WireError extends Error {}

/** Builds one message. */
export class Writer {
  #out = [];
  #codec;

  constructor(codec) {
    this.#codec = codec;
  }
  u8(value) {
    this.#out.push(value & 0xff);
    return this;
  }
  u16(value) {
    return this.u8(value >> 8).u8(value);
  }
  int(value) {
    this.#codec.write(this.#out, value);
    return this;
  }
  bytes(bytes) {
    for (const byte of bytes) this.#out.push(byte);
    return this;
  }
  /** Length, then UTF-8. */
  string(text) {
    const bytes = encoder.encode(text);
    return this.int(bytes.length).bytes(bytes);
  }
  /** Length, then what `body` holds. */
  sized(body) {
    const bytes = body.done();
    return this.int(bytes.length).bytes(bytes);
  }
  done() {
    return Uint8Array.from(this.#out);
  }
}

/** Reads a message that is there as a whole. Running past its end throws [WireError]. */
export class Cursor {
  #bytes;
  #codec;
  #at = 0;

  constructor(bytes, codec) {
    this.#bytes = bytes;
    this.#codec = codec;
  }
  get left() {
    return this.#bytes.length - this.#at;
  }
  u8() {
    return this.#take(1)[0];
  }
  int() {
    if (this.left < 1) throw new WireError("message is cut short");
    const at = this.#at;
    const length = this.#codec.length(this.#bytes[at]);
    this.#take(length);
    return this.#codec.read(this.#bytes, at, length);
  }
  /** A view of the next `length` bytes, not a copy. */
  bytes(length) {
    return this.#take(length);
  }
  string() {
    return text(this.#take(this.int()));
  }
  rest() {
    return this.#take(this.left);
  }
  #take(length) {
    if (length > this.left) throw new WireError("message is cut short");
    const from = this.#at;
    this.#at += length;
    return this.#bytes.subarray(from, this.#at);
  }
}

/** Reads integers and blocks from a `ReadableStream` of bytes. */
export class StreamReader {
  #reader;
  #codec;
  #bytes = new Uint8Array(0);
  #ended = false;

  constructor(readable, codec) {
    this.#reader = readable.getReader();
    this.#codec = codec;
  }
  /** True if the peer has ended the stream and everything was read. */
  async atEnd() {
    return this.#bytes.length === 0 && !(await this.#fill(1));
  }
  async u8() {
    return (await this.bytes(1))[0];
  }
  async u16() {
    const bytes = await this.bytes(2);
    return bytes[0] * 256 + bytes[1];
  }
  async int() {
    await this.#need(1);
    const length = this.#codec.length(this.#bytes[0]);
    await this.#need(length);
    const value = this.#codec.read(this.#bytes, 0, length);
    this.#bytes = this.#bytes.subarray(length);
    return value;
  }
  /** `limit` keeps a hostile length from making us wait for, and hold, more than we ever want. */
  async bytes(length, limit = 1 << 17) {
    if (length > limit) throw new WireError(`a block of ${length} bytes is too long`);
    await this.#need(length);
    const bytes = this.#bytes.subarray(0, length);
    this.#bytes = this.#bytes.subarray(length);
    return bytes;
  }
  /** A length, then that many bytes, as a cursor. */
  async sized() {
    return new Cursor(await this.bytes(await this.int()), this.#codec);
  }
  cancel(reason) {
    return this.#reader.cancel(reason).catch(() => {});
  }
  async #need(length) {
    if (!(await this.#fill(length))) throw new WireError("stream ended within a message");
  }
  async #fill(length) {
    while (this.#bytes.length < length && !this.#ended) {
      const { value, done } = await this.#reader.read();
      if (done) {
        this.#ended = true;
      } else if (this.#bytes.length === 0) {
        this.#bytes = value;
      } else {
        const joined = new Uint8Array(this.#bytes.length + value.length);
        joined.set(this.#bytes);
        joined.set(value, this.#bytes.length);
        this.#bytes = joined;
      }
    }
    return this.#bytes.length >= length;
  }
}

/** UTF-8 that must be valid. */
export function text(bytes) {
  try {
    return decoder.decode(bytes);
  } catch {
    throw new WireError("text is not UTF-8");
  }
}
