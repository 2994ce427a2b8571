// Reading and writing messages: `Writer` builds one, `Cursor` reads a whole one, `StreamReader` reads from a stream as its
// bytes come. All three know which integer encoding their protocol uses.

import type { Codec } from "./varint";

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/** Longest block that is ever waited for, in bytes. */
const LONGEST_BLOCK = 1 << 17;

/** Bytes of a peer that are not what the protocol says. */
export class WireError extends Error {}

/** Builds one message. */
export class Writer {
  #out: number[] = [];
  #codec: Codec;

  constructor(codec: Codec) {
    this.#codec = codec;
  }
  u8(value: number): this {
    this.#out.push(value & 0xff);
    return this;
  }
  u16(value: number): this {
    return this.u8(value >> 8).u8(value);
  }
  int(value: number): this {
    this.#codec.write(this.#out, value);
    return this;
  }
  bytes(bytes: Uint8Array): this {
    for (const byte of bytes) this.#out.push(byte);
    return this;
  }
  /** Length, then UTF-8. */
  string(text: string): this {
    const bytes = encoder.encode(text);
    return this.int(bytes.length).bytes(bytes);
  }
  /** Length, then what `body` holds. */
  sized(body: Writer): this {
    const bytes = body.done();
    return this.int(bytes.length).bytes(bytes);
  }
  done(): Uint8Array<ArrayBuffer> {
    return Uint8Array.from(this.#out);
  }
}

/** Reads a message that is there as a whole. Running past its end throws [WireError]. */
export class Cursor {
  #bytes: Uint8Array;
  #codec: Codec;
  #at = 0;

  constructor(bytes: Uint8Array, codec: Codec) {
    this.#bytes = bytes;
    this.#codec = codec;
  }
  get left(): number {
    return this.#bytes.length - this.#at;
  }
  u8(): number {
    return this.bytes(1)[0] ?? 0;
  }
  int(): number {
    const first = this.#bytes[this.#at];
    if (first === undefined) throw new WireError("message is cut short");
    const at = this.#at;
    const length = this.#codec.length(first);
    this.bytes(length);
    return this.#codec.read(this.#bytes, at, length);
  }
  /** A view of the next `length` bytes, not a copy. */
  bytes(length: number): Uint8Array {
    if (length > this.left) throw new WireError("message is cut short");
    const from = this.#at;
    this.#at += length;
    return this.#bytes.subarray(from, this.#at);
  }
  string(): string {
    return text(this.bytes(this.int()));
  }
  rest(): Uint8Array {
    return this.bytes(this.left);
  }
}

/** Reads integers and blocks from a stream of bytes. */
export class StreamReader {
  #reader: ReadableStreamDefaultReader<Uint8Array>;
  #codec: Codec;
  #bytes: Uint8Array = new Uint8Array(0);
  #ended = false;

  constructor(readable: ReadableStream<Uint8Array>, codec: Codec) {
    this.#reader = readable.getReader();
    this.#codec = codec;
  }
  /** True if the peer has ended the stream and everything was read. */
  async atEnd(): Promise<boolean> {
    return this.#bytes.length === 0 && !(await this.#fill(1));
  }
  async u8(): Promise<number> {
    return (await this.bytes(1))[0] ?? 0;
  }
  async u16(): Promise<number> {
    const [high = 0, low = 0] = await this.bytes(2);
    return high * 256 + low;
  }
  async int(): Promise<number> {
    await this.#need(1);
    const length = this.#codec.length(this.#bytes[0] ?? 0);
    await this.#need(length);
    const value = this.#codec.read(this.#bytes, 0, length);
    this.#bytes = this.#bytes.subarray(length);
    return value;
  }
  /** `limit` keeps a hostile length from making us wait for, and hold, more than we ever want. */
  async bytes(length: number, limit = LONGEST_BLOCK): Promise<Uint8Array> {
    if (length > limit) throw new WireError(`a block of ${length} bytes is too long`);
    await this.#need(length);
    const bytes = this.#bytes.subarray(0, length);
    this.#bytes = this.#bytes.subarray(length);
    return bytes;
  }
  /** A length, then that many bytes, as a cursor. */
  async sized(): Promise<Cursor> {
    return new Cursor(await this.bytes(await this.int()), this.#codec);
  }
  async cancel(reason?: unknown): Promise<void> {
    await this.#reader.cancel(reason).catch(() => {});
  }
  async #need(length: number): Promise<void> {
    if (!(await this.#fill(length))) throw new WireError("stream ended within a message");
  }
  async #fill(length: number): Promise<boolean> {
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
export function text(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch {
    throw new WireError("text is not UTF-8");
  }
}
