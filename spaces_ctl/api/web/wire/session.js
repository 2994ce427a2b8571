// What both protocols share: a WebTransport session, its streams and datagrams, the subscriptions that we hold and the tracks
// that we publish. A subclass knows the bytes.

import { StreamReader } from "./bytes.js";

/** One track that we asked for. Callbacks: `onAccepted()`, `onObject({group, object, timestamp, payload, datagram})`, `onEnd(error?)`. */
export class Subscription {
  timescale = 48_000;
  #accepted = false;
  #ended = false;

  constructor(id, namespace, track, { priority = 128, onAccepted = () => {}, onObject, onEnd = () => {} }) {
    Object.assign(this, { id, namespace, track, priority, onAccepted, onObject, onEnd });
  }
  accepted() {
    if (!this.#accepted) this.onAccepted();
    this.#accepted = true;
  }
  object(object) {
    if (this.#ended) return;
    this.accepted(); // a datagram may overtake the answer
    this.onObject(object);
  }
  end(error) {
    if (!this.#ended) this.onEnd(error);
    this.#ended = true;
  }
  /** Tells the publisher to stop, and hears nothing more. */
  async cancel() {
    this.#ended = true;
    await this.abandon?.(0);
  }
}

/** One track that we publish, one object a group. */
export class Publication {
  nextGroup = 0;
  #subscribers = new Set();

  constructor(namespace, track, samplesPerGroup, onDemand = () => {}) {
    Object.assign(this, { namespace, track, samplesPerGroup, onDemand });
  }
  get wanted() {
    return this.#subscribers.size > 0;
  }
  add(subscriber) {
    this.#subscribers.add(subscriber);
    this.onDemand(true);
  }
  remove(subscriber) {
    this.#subscribers.delete(subscriber);
    this.onDemand(this.wanted);
  }
  /** The datagrams that carry `payload` as group `group`, one a subscriber. */
  datagrams(group, payload) {
    this.nextGroup = group + 1;
    return [...this.#subscribers].map((subscriber) => subscriber.datagram(group, payload));
  }
  async end() {
    await Promise.allSettled([...this.#subscribers].map((subscriber) => subscriber.end()));
    await this.withdraw?.();
  }
}

export class Session {
  /** Tracks that we publish. */
  published = [];
  /** Why the session ended, once it has. */
  failure = null;
  #transport;
  #datagramWriter;
  #routes = new Map();
  #waiting = new Map();
  #publishedChange = new Set();
  #nextSubscription = 0;

  /** `transport` is a ready WebTransport. */
  constructor(transport, { onGoAway = () => {} } = {}) {
    this.#transport = transport;
    this.goAway = onGoAway;
    // Late audio is worthless: whatever waited longer than this in the browser is dropped there. A short queue, on the other hand,
    // (Chromium's holds one datagram) would drop what is not late at all whenever this thread has to wait for its turn.
    Object.assign(transport.datagrams, { incomingMaxAge: 1_000, incomingHighWaterMark: 128, outgoingMaxAge: 200, outgoingHighWaterMark: 16 });
    this.#datagramWriter = transport.datagrams.writable.getWriter();
  }

  /** Sends SETUP and serves the peer until the session ends. Resolves once SETUP is on its way. */
  async begin() {
    this.#each(this.#transport.incomingUnidirectionalStreams, (stream) => {
      const reader = new StreamReader(stream, this.codec);
      return this.onUni(reader).catch(() => reader.cancel());
    });
    this.#each(this.#transport.incomingBidirectionalStreams, ({ readable, writable }) => {
      const reader = new StreamReader(readable, this.codec);
      const writer = writable.getWriter();
      return this.onBidi(reader, writer).catch(() => Promise.all([this.abort(writer, 0), reader.cancel()]));
    });
    this.#each(this.#transport.datagrams.readable, (bytes) => {
      try {
        this.onDatagram(bytes);
      } catch {
        this.malformed = (this.malformed ?? 0) + 1; // one bad datagram is its sender's loss, not the session's end
      }
    });
    await this.start();
  }

  /** Resolves with `{closeCode, reason}` when the session is over, however it ended. */
  closed() {
    return this.#transport.closed.then(
      (info) => ({ closeCode: info.closeCode ?? 0, reason: info.reason ?? "" }),
      (error) => ({ closeCode: null, reason: error?.message ?? "" }),
    );
  }

  close(code = 0, reason = "") {
    try {
      this.#transport.close({ closeCode: code, reason });
    } catch {
      // it was never open, or is closed already
    }
  }

  subscribe(namespace, track, callbacks) {
    const subscription = new Subscription(this.#nextSubscription++, namespace, track, callbacks);
    this.requestTrack(subscription).catch((error) => subscription.end(error));
    return subscription;
  }

  async publish(publication) {
    this.published.push(publication);
    for (const changed of this.#publishedChange) changed();
  }

  async unpublish(publication) {
    this.published = this.published.filter((other) => other !== publication);
    for (const changed of this.#publishedChange) changed();
    await publication.end();
  }

  /** Sends one object as datagrams. Never waits: when the browser's queue is full, the frame is late already. */
  send(publication, group, payload) {
    for (const datagram of publication.datagrams(group, payload)) this.#datagramWriter.write(datagram).catch(() => {});
  }

  // --- for the subclasses ---

  async openUni() {
    return (await this.#transport.createUnidirectionalStream()).getWriter();
  }
  async openBidi() {
    const { readable, writable } = await this.#transport.createBidirectionalStream();
    return { reader: new StreamReader(readable, this.codec), writer: writable.getWriter() };
  }
  abort(writer, code) {
    return writer.abort(streamError(code)).catch(() => {});
  }
  onPublishedChange(changed) {
    this.#publishedChange.add(changed);
  }
  publication(namespace, track) {
    const name = namespace.join("/");
    return this.published.find((own) => own.namespace.join("/") === name && own.track === track);
  }
  /** Objects under `key` (subscribe id or track alias) belong to `subscription`. */
  route(key, subscription) {
    this.#routes.set(key, subscription);
    for (const wake of this.#waiting.get(key) ?? []) wake(subscription);
    this.#waiting.delete(key);
  }
  routed(key) {
    return this.#routes.get(key);
  }
  /** A stream may overtake the answer that tells its alias: wait for that a little. */
  routedSoon(key) {
    const known = this.#routes.get(key);
    if (known) return Promise.resolve(known);
    return new Promise((resolve) => {
      this.#waiting.set(key, [...(this.#waiting.get(key) ?? []), resolve]);
      setTimeout(() => resolve(undefined), 2_000);
    });
  }

  async #each(readable, serve) {
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
function streamError(code) {
  for (const given of [["cancelled", { streamErrorCode: code }], [{ message: "cancelled", streamErrorCode: code }]]) {
    try {
      return new WebTransportError(...given);
    } catch {
      // the other form, then
    }
  }
  return undefined;
}
