// What a session needs of a connection, however it is carried: streams, datagrams, an end. `transport-webtransport.ts` is
// the browser's own; `transport-websocket.ts` carries the same over TCP. Runs in a worker: no window, no document.

/** Where and how to connect: what `POST /join` answered. */
export interface Address {
  /** All addresses of the admission, best first; a transport takes those whose scheme it speaks. */
  urls: readonly string[];
  /** Origin of the page, such as `https://spaces.example`. */
  origin: string;
  /** The Space's id. */
  space: string;
  /** The join token; empty where none is needed. */
  token: string;
  /** SHA-256 of a development certificate in hex; null if the browser trusts the certificate by itself. */
  certificate: string | null;
  /** The protocol to speak: `moqt-18` or `moq-lite-05`. */
  protocol: string;
}

export interface Bidi {
  readable: ReadableStream<Uint8Array>;
  writable: WritableStream<Uint8Array>;
}

/** How a connection ended. `code` is null if nobody said (network gone, server killed). */
export interface Closed {
  code: number | null;
  /** One of our codes (`participant.removed`) if the server closed; words or empty otherwise. */
  reason: string;
}

/** An open connection. */
export interface Transport {
  readonly path: "webtransport" | "websocket";
  /** What was agreed on; the one that was asked for, if the transport cannot tell. */
  readonly protocol: string;
  /** Datagrams of the server, each as one chunk. What waits for too long may be dropped. */
  readonly incomingDatagrams: ReadableStream<Uint8Array>;
  readonly incomingUnidirectional: ReadableStream<ReadableStream<Uint8Array>>;
  readonly incomingBidirectional: ReadableStream<Bidi>;
  /** Never waits and never fails: late audio is worthless, so what cannot go out now is dropped. */
  sendDatagram(bytes: Uint8Array): void;
  openUnidirectional(): Promise<WritableStream<Uint8Array>>;
  openBidirectional(): Promise<Bidi>;
  /** Resolves when it is over, however it ended. Never rejects. */
  readonly closed: Promise<Closed>;
  /** Ends it; does nothing if it is over. */
  close(code: number, reason: string): void;
}

/**
 * Opens a connection; resolves when streams can be opened. When `signal` aborts it gives up, closes what it began and
 * rejects. Throws [ConnectError].
 */
export type OpenTransport = (address: Address, signal: AbortSignal) => Promise<Transport>;

/** A connection could not be had. */
export class ConnectError extends Error {
  constructor(
    message: string,
    /** One of our codes, if the server said; empty otherwise. */
    readonly code = "",
    /** Whether trying again may help. */
    readonly retry = true,
  ) {
    super(message);
    this.name = "ConnectError";
  }
}
