// Hex, and transports in memory whose other end the test plays.

import type { Bidi, Closed, Transport } from "@/live/transport";

export const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
export const unhexed = (text: string) => Uint8Array.from(Buffer.from(text.replaceAll(" ", ""), "hex"));
export const utf8 = (text: string) => hex(Buffer.from(text));
/** Lets every promise that can go on do so. */
export const settle = () => new Promise((resolve) => setTimeout(resolve, 5));

/** A pipe whose written bytes are kept, and whose readable side the test feeds. */
export class MemoryStream {
  sent = "";
  ended = false;
  aborted = false;
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
  feed!: ReadableStreamDefaultController<Uint8Array>;

  constructor() {
    this.readable = new ReadableStream({
      start: (controller) => {
        this.feed = controller;
      },
    });
    this.writable = new WritableStream({
      write: (chunk) => {
        this.sent += hex(chunk);
      },
      close: () => {
        this.ended = true;
      },
      abort: () => {
        this.aborted = true;
      },
    });
  }
  peer(text: string, { fin = false } = {}): void {
    this.feed.enqueue(unhexed(text));
    if (fin) this.feed.close();
  }
}

function source<T>(): [ReadableStream<T>, ReadableStreamDefaultController<T>] {
  let feed!: ReadableStreamDefaultController<T>;
  const readable = new ReadableStream<T>({
    start: (controller) => {
      feed = controller;
    },
  });
  return [readable, feed];
}

export class MemoryTransport implements Transport {
  readonly path: Transport["path"];
  readonly protocol: string;
  readonly uni: MemoryStream[] = [];
  readonly bidi: MemoryStream[] = [];
  readonly sentDatagrams: string[] = [];
  readonly incomingDatagrams;
  readonly incomingUnidirectional;
  readonly incomingBidirectional;
  readonly closed: Promise<Closed>;
  ended: [number, string] | null = null;
  #datagrams;
  #uni;
  #bidi;
  #end!: (closed: Closed) => void;

  constructor(protocol = "moq-lite-05", path: Transport["path"] = "webtransport") {
    this.protocol = protocol;
    this.path = path;
    [this.incomingDatagrams, this.#datagrams] = source<Uint8Array>();
    [this.incomingUnidirectional, this.#uni] = source<ReadableStream<Uint8Array>>();
    [this.incomingBidirectional, this.#bidi] = source<Bidi>();
    this.closed = new Promise((resolve) => {
      this.#end = resolve;
    });
  }
  sendDatagram(bytes: Uint8Array): void {
    this.sentDatagrams.push(hex(bytes));
  }
  async openUnidirectional() {
    const stream = new MemoryStream();
    this.uni.push(stream);
    return stream.writable;
  }
  async openBidirectional() {
    const stream = new MemoryStream();
    this.bidi.push(stream);
    return stream;
  }
  close(code: number, reason: string): void {
    this.ended ??= [code, reason];
    this.#end({ code, reason });
  }

  // --- what the peer does ---

  /** The peer ends the session; without a code the network does. */
  ends(code: number | null, reason = ""): void {
    this.#end({ code, reason });
  }
  datagram(text: string): void {
    this.#datagrams.enqueue(unhexed(text));
  }
  opens(text: string, options?: { fin?: boolean }): MemoryStream {
    const stream = new MemoryStream();
    this.#bidi.enqueue(stream);
    stream.peer(text, options);
    return stream;
  }
  opensUni(text: string, options?: { fin?: boolean }): MemoryStream {
    const stream = new MemoryStream();
    this.#uni.enqueue(stream.readable);
    stream.peer(text, options);
    return stream;
  }
  /** The stream on which something was asked that holds these bytes. */
  asked(text: string): MemoryStream {
    const found = this.bidi.find(({ sent }) => sent.includes(utf8(text)));
    if (!found) throw new Error(`nobody asked for ${text}`);
    return found;
  }
}
