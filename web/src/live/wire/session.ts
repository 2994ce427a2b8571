// What both protocols share: a transport, its streams and datagrams, the subscriptions that we hold and the tracks that we
// publish. A subclass knows the bytes.

import type { Closed, Transport } from "../transport";
import { StreamReader } from "./bytes";
import { type Callbacks, type Publication, Subscription } from "./tracks";
import type { Codec } from "./varint";

/** Longest that a stream waits for the answer that tells whose it is, in ms. */
const OVERTAKEN = 2_000;

export type Out = WritableStreamDefaultWriter<Uint8Array>;

export abstract class Session {
  abstract readonly protocol: string;
  abstract readonly codec: Codec;
  /** Tracks that we publish. */
  published: Publication[] = [];
  /** Datagrams that made no sense. */
  malformed = 0;
  readonly goAway: (target: string) => void;
  #transport: Transport;
  #routes = new Map<number, Subscription>();
  #waiting = new Map<number, ((found: Subscription) => void)[]>();
  #publishedChange = new Set<() => void>();
  #nextSubscription = 0;

  constructor(transport: Transport, { onGoAway = () => {} }: { onGoAway?: (target: string) => void } = {}) {
    this.#transport = transport;
    this.goAway = onGoAway;
  }

  /** Sends what the protocol begins with. */
  protected abstract start(): Promise<void>;
  /** Runs until the peer ends the announcements; `onNamespace(namespace, live)` for each under `prefix`. */
  abstract watch(prefix: readonly string[], onNamespace: (namespace: string[], live: boolean) => void): Promise<void>;
  /** Resolves when the peer answers a question that it must answer at once: a sign of life. */
  abstract ping(prefix: readonly string[]): Promise<void>;
  protected abstract requestTrack(subscription: Subscription): Promise<void>;
  protected abstract onUni(reader: StreamReader): Promise<unknown>;
  protected abstract onBidi(reader: StreamReader, writer: Out): Promise<unknown>;
  protected abstract onDatagram(bytes: Uint8Array): void;

  get path(): Transport["path"] {
    return this.#transport.path;
  }

  /** Sends SETUP and serves the peer until the session ends. Resolves once SETUP is on its way. */
  async begin(): Promise<void> {
    this.#each(this.#transport.incomingUnidirectional, (stream) => {
      const reader = new StreamReader(stream, this.codec);
      this.onUni(reader).catch(() => reader.cancel());
    });
    this.#each(this.#transport.incomingBidirectional, ({ readable, writable }) => {
      const reader = new StreamReader(readable, this.codec);
      const writer = writable.getWriter();
      this.onBidi(reader, writer).catch(() => Promise.all([this.abort(writer, 0), reader.cancel()]));
    });
    this.#each(this.#transport.incomingDatagrams, (bytes) => {
      try {
        this.onDatagram(bytes);
      } catch {
        this.malformed += 1; // one bad datagram is its sender's loss, not the session's end
      }
    });
    await this.start();
  }

  get closed(): Promise<Closed> {
    return this.#transport.closed;
  }
  close(code = 0, reason = ""): void {
    this.#transport.close(code, reason);
  }

  subscribe(namespace: readonly string[], track: string, callbacks: Callbacks): Subscription {
    const subscription = new Subscription(this.#nextSubscription++, namespace, track, callbacks);
    this.requestTrack(subscription).catch((error) => subscription.end(error));
    return subscription;
  }

  /** Resolves once the peer has taken the announcement, where the protocol tells. */
  async publish(publication: Publication): Promise<void> {
    this.published.push(publication);
    for (const changed of this.#publishedChange) changed();
  }

  async unpublish(publication: Publication): Promise<void> {
    this.published = this.published.filter((other) => other !== publication);
    for (const changed of this.#publishedChange) changed();
    await publication.end();
  }

  /** Sends one object as datagrams. Never waits: when the queue is full, the frame is late already. */
  send(publication: Publication, group: number, payload: Uint8Array): void {
    for (const datagram of publication.datagrams(group, payload)) this.#transport.sendDatagram(datagram);
  }

  // --- for the subclasses ---

  protected async openUni(): Promise<Out> {
    return (await this.#transport.openUnidirectional()).getWriter();
  }
  protected async openBidi(): Promise<{ reader: StreamReader; writer: Out }> {
    const { readable, writable } = await this.#transport.openBidirectional();
    return { reader: new StreamReader(readable, this.codec), writer: writable.getWriter() };
  }
  protected async abort(writer: Out, code: number): Promise<void> {
    await writer.abort(streamError(code)).catch(() => {});
  }
  protected onPublishedChange(changed: () => void): void {
    this.#publishedChange.add(changed);
  }
  protected publication(namespace: readonly string[], track: string): Publication | undefined {
    const name = namespace.join("/");
    return this.published.find((own) => own.namespace.join("/") === name && own.track === track);
  }
  /** Objects under `key` (subscribe id or track alias) belong to `subscription`. */
  protected route(key: number, subscription: Subscription): void {
    this.#routes.set(key, subscription);
    for (const wake of this.#waiting.get(key) ?? []) wake(subscription);
    this.#waiting.delete(key);
  }
  protected routed(key: number): Subscription | undefined {
    return this.#routes.get(key);
  }
  /** A stream may overtake the answer that tells its alias: wait for that a little. */
  protected routedSoon(key: number): Promise<Subscription | undefined> {
    const known = this.#routes.get(key);
    if (known) return Promise.resolve(known);
    return new Promise((resolve) => {
      this.#waiting.set(key, [...(this.#waiting.get(key) ?? []), resolve]);
      setTimeout(() => resolve(undefined), OVERTAKEN);
    });
  }

  async #each<T>(readable: ReadableStream<T>, serve: (value: T) => void): Promise<void> {
    const reader = readable.getReader();
    try {
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return;
        serve(value);
      }
    } catch {
      // the session is over; `closed` tells why
    }
  }
}

/** What makes a browser put `code` on the wire. Chromium still has the constructor of an older draft, with one argument. */
function streamError(code: number): unknown {
  const Made = (globalThis as { WebTransportError?: new (...given: unknown[]) => unknown }).WebTransportError;
  if (!Made) return undefined;
  for (const given of [["cancelled", { streamErrorCode: code }], [{ message: "cancelled", streamErrorCode: code }]]) {
    try {
      return new Made(...given);
    } catch {
      // the other form, then
    }
  }
  return undefined;
}
