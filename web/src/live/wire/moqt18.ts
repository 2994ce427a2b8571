// moqt-18, the client's end (draft-ietf-moq-transport-18). Control messages are `type | length (u16) | body`; every request
// is a bidirectional stream of its own and its responses carry no id; objects come as datagrams or subgroup streams.

import { Cursor, type StreamReader, text, WireError, Writer } from "./bytes";
import { type Out, Session } from "./session";
import type { Publication, Subscription } from "./tracks";
import { vi64 } from "./varint";

const MESSAGE = {
  SUBSCRIBE: 0x03,
  SUBSCRIBE_OK: 0x04,
  REQUEST_ERROR: 0x05,
  PUBLISH_NAMESPACE: 0x06,
  REQUEST_OK: 0x07,
  NAMESPACE: 0x08,
  PUBLISH_DONE: 0x0b,
  NAMESPACE_DONE: 0x0e,
  GOAWAY: 0x10,
  SUBSCRIBE_NAMESPACE: 0x50,
  SETUP: 0x2f00,
};
const DOES_NOT_EXIST = 0x10;
const NOT_SUPPORTED = 0x3;
const PROPERTY_TIMESCALE = 0x08;
const PROPERTY_TIMESTAMP = 0x10;
const LARGEST_OBJECT = 0x09;
const TIMESCALE = 48_000;
/** OBJECT_DATAGRAM type bits (§10.3.1). */
const DATAGRAM = { PROPERTIES: 0x01, END_OF_GROUP: 0x02, OBJECT_ZERO: 0x04, DEFAULT_PRIORITY: 0x08, STATUS: 0x20 };
/** SUBGROUP_HEADER type bits (§10.4.2); bits 1 and 2 say where the subgroup id comes from. */
const SUBGROUP = { PROPERTIES: 0x01, ID_PRESENT: 0x04, DEFAULT_PRIORITY: 0x20 };

/** The peer's refusal of a request. */
export class RequestRefused extends Error {
  constructor(
    readonly code: number,
    reason: string,
  ) {
    super(reason);
  }
}

export class Moqt18 extends Session {
  readonly protocol = "moqt-18";
  readonly codec = vi64;
  #control: Out | null = null;
  #nextRequest = 0;
  #nextAlias = 1;

  protected async start(): Promise<void> {
    this.#control = await this.openUni(); // stays open as long as the session
    const options = new Writer(vi64).int(7).string("spaces-web"); // MOQT_IMPLEMENTATION
    await this.#control.write(message(MESSAGE.SETUP, options));
  }

  // --- what we ask of the server ---

  async watch(prefix: readonly string[], onNamespace: (namespace: string[], live: boolean) => void): Promise<void> {
    const { reader, writer } = await this.openBidi();
    const body = namespace(new Writer(vi64).int(this.#requestId()), prefix).int(0);
    await writer.write(message(MESSAGE.SUBSCRIBE_NAMESPACE, body));
    while (!(await reader.atEnd())) {
      const [type, response] = await nextMessage(reader);
      if (type === MESSAGE.REQUEST_ERROR) throw refusal(response);
      if (type === MESSAGE.NAMESPACE || type === MESSAGE.NAMESPACE_DONE) {
        onNamespace([...prefix, ...fields(response)], type === MESSAGE.NAMESPACE);
      }
    }
  }

  async ping(prefix: readonly string[]): Promise<void> {
    const { reader, writer } = await this.openBidi();
    const body = namespace(new Writer(vi64).int(this.#requestId()), prefix).int(0);
    await writer.write(message(MESSAGE.SUBSCRIBE_NAMESPACE, body));
    await nextMessage(reader); // REQUEST_OK, or an error because there is such a request already: alive in any case
    await Promise.all([this.abort(writer, 0), reader.cancel()]);
  }

  protected async requestTrack(subscription: Subscription): Promise<void> {
    const { reader, writer } = await this.openBidi();
    subscription.abandon = (code) => Promise.all([this.abort(writer, code), reader.cancel()]);
    const body = namespace(new Writer(vi64).int(this.#requestId()), subscription.namespace).string(subscription.track);
    // Parameters, types as deltas: forward = 1, subscriber priority (one byte), filter = largest object on, newest first.
    body.int(4).int(0x10).u8(1).int(0x10).u8(subscription.priority).int(1).int(1).int(2).int(1).u8(2);
    await writer.write(message(MESSAGE.SUBSCRIBE, body));
    this.#followSubscription(reader, subscription).then(
      () => subscription.end(),
      (error) => subscription.end(error),
    );
  }

  async #followSubscription(reader: StreamReader, subscription: Subscription): Promise<void> {
    while (!(await reader.atEnd())) {
      const [type, response] = await nextMessage(reader);
      if (type === MESSAGE.REQUEST_ERROR) throw refusal(response);
      if (type === MESSAGE.PUBLISH_DONE) return;
      if (type !== MESSAGE.SUBSCRIBE_OK) continue;
      this.route(response.int(), subscription);
      skipParameters(response);
      subscription.timescale = timescaleOf(response);
      subscription.accepted();
    }
  }

  override async publish(publication: Publication): Promise<void> {
    await super.publish(publication);
    const { reader, writer } = await this.openBidi();
    publication.withdraw = () => this.abort(writer, 0);
    const body = namespace(new Writer(vi64).int(this.#requestId()), publication.namespace).int(0);
    await writer.write(message(MESSAGE.PUBLISH_NAMESPACE, body));
    const [type, response] = await nextMessage(reader);
    if (type === MESSAGE.REQUEST_ERROR) throw refusal(response);
  }

  #requestId(): number {
    const id = this.#nextRequest;
    this.#nextRequest += 2;
    return id;
  }

  // --- what the server asks of us ---

  protected async onBidi(reader: StreamReader, writer: Out): Promise<unknown> {
    const [type, request] = await nextMessage(reader);
    request.int(); // request id; the answer goes on the same stream and needs none
    if (type === MESSAGE.SUBSCRIBE_NAMESPACE) return this.#answerNamespaces(request, reader, writer);
    if (type === MESSAGE.SUBSCRIBE) return this.#answerSubscribe(request, reader, writer);
    await writer.write(requestError(NOT_SUPPORTED, "unsupported"));
    return writer.close();
  }

  async #answerNamespaces(request: Cursor, reader: StreamReader, writer: Out): Promise<void> {
    const prefix = fields(request);
    await writer.write(message(MESSAGE.REQUEST_OK, new Writer(vi64).int(0)));
    for (const { namespace: name } of this.published) {
      if (!prefix.every((field, i) => name[i] === field)) continue;
      await writer.write(message(MESSAGE.NAMESPACE, namespace(new Writer(vi64), name.slice(prefix.length))));
    }
    await reader.atEnd();
  }

  async #answerSubscribe(request: Cursor, reader: StreamReader, writer: Out): Promise<void> {
    const publication = this.publication(fields(request), text(request.bytes(request.int())));
    if (!publication) {
      await writer.write(requestError(DOES_NOT_EXIST, "no such track"));
      return writer.close();
    }
    const alias = this.#nextAlias++;
    const kind = DATAGRAM.PROPERTIES | DATAGRAM.END_OF_GROUP | DATAGRAM.OBJECT_ZERO | DATAGRAM.DEFAULT_PRIORITY;
    const subscriber = {
      datagram: (group: number, payload: Uint8Array) => {
        const properties = new Writer(vi64).int(PROPERTY_TIMESTAMP).int(group * publication.samplesPerGroup);
        return new Writer(vi64).int(kind).int(alias).int(group).sized(properties).bytes(payload).done();
      },
      end: async () => {
        const done = new Writer(vi64).int(0x2).int(0).string("the speaker has left"); // TRACK_ENDED
        await writer.write(message(MESSAGE.PUBLISH_DONE, done));
        await writer.close();
      },
    };
    const ok = new Writer(vi64).int(alias).int(0).int(PROPERTY_TIMESCALE).int(TIMESCALE);
    await writer.write(message(MESSAGE.SUBSCRIBE_OK, ok));
    publication.add(subscriber);
    try {
      while (!(await reader.atEnd())) await nextMessage(reader); // REQUEST_UPDATE: nothing in it changes what we send
    } finally {
      publication.remove(subscriber);
    }
  }

  // --- objects ---

  protected async onUni(reader: StreamReader): Promise<unknown> {
    const type = await reader.int();
    if (type === MESSAGE.SETUP) return this.#followControl(reader);
    const bits = type & ~0x40; // FIRST_OBJECT says only that the stream begins with the subgroup's first object
    if ((bits & 0x10) === 0 || bits > 0x3f) return reader.cancel();
    const alias = await reader.int();
    const group = await reader.int();
    if (bits & SUBGROUP.ID_PRESENT) await reader.int();
    if (!(bits & SUBGROUP.DEFAULT_PRIORITY)) await reader.u8();
    const subscription = await this.routedSoon(alias);
    if (!subscription) return reader.cancel();
    for (let object = -1; !(await reader.atEnd()); ) {
      object += 1 + (await reader.int());
      const properties = bits & SUBGROUP.PROPERTIES ? await reader.sized() : null;
      const length = await reader.int();
      if (length === 0) {
        await reader.int(); // an object status: the end of a group or track, which the stream's end tells as well
        continue;
      }
      const payload = await reader.bytes(length);
      const timestamp = timestampOf(properties, subscription, group);
      subscription.object({ group, object, timestamp, payload, datagram: false });
    }
  }

  async #followControl(reader: StreamReader): Promise<void> {
    await reader.bytes(await reader.u16()); // SETUP options: none that a page needs
    while (!(await reader.atEnd())) {
      const [type, body] = await nextMessage(reader);
      if (type === MESSAGE.GOAWAY) this.goAway(body.string());
    }
  }

  protected onDatagram(bytes: Uint8Array): void {
    const datagram = new Cursor(bytes, vi64);
    const type = datagram.int();
    const subscription = this.routed(datagram.int());
    const group = datagram.int();
    const object = type & DATAGRAM.OBJECT_ZERO ? 0 : datagram.int();
    if (!(type & DATAGRAM.DEFAULT_PRIORITY)) datagram.u8();
    const properties = type & DATAGRAM.PROPERTIES ? new Cursor(datagram.bytes(datagram.int()), vi64) : null;
    if (!subscription || type & DATAGRAM.STATUS) return;
    const timestamp = timestampOf(properties, subscription, group);
    subscription.object({ group, object, timestamp, payload: datagram.rest(), datagram: true });
  }
}

/** One control message. */
function message(type: number, body: Writer): Uint8Array<ArrayBuffer> {
  const bytes = body.done();
  return new Writer(vi64).int(type).u16(bytes.length).bytes(bytes).done();
}

async function nextMessage(reader: StreamReader): Promise<[number, Cursor]> {
  const type = await reader.int();
  return [type, new Cursor(await reader.bytes(await reader.u16()), vi64)];
}

function namespace(writer: Writer, names: readonly string[]): Writer {
  writer.int(names.length);
  for (const name of names) writer.string(name);
  return writer;
}

function fields(cursor: Cursor): string[] {
  const count = cursor.int();
  if (count > 32) throw new WireError(`a namespace of ${count} fields`);
  return Array.from({ length: count }, () => cursor.string());
}

function requestError(code: number, reason: string): Uint8Array<ArrayBuffer> {
  return message(MESSAGE.REQUEST_ERROR, new Writer(vi64).int(code).int(0).string(reason));
}

function refusal(response: Cursor): RequestRefused {
  const code = response.int();
  response.int(); // when to try again
  return new RequestRefused(code, response.string());
}

/** The value of one even-typed pair among key-value pairs with delta-coded types: even ones hold an integer, odd ones bytes (§1.4.3). */
function findPair(cursor: Cursor, wanted: number): number | undefined {
  for (let type = 0; cursor.left > 0; ) {
    type += cursor.int();
    if (type % 2 === 1) cursor.bytes(cursor.int());
    else {
      const value = cursor.int();
      if (type === wanted) return value;
    }
  }
  return undefined;
}

function skipParameters(cursor: Cursor): void {
  let type = 0;
  for (let count = cursor.int(); count > 0; count--) {
    type += cursor.int();
    if (type === LARGEST_OBJECT) {
      // Odd, but of two bare integers in SUBSCRIBE_OK.
      cursor.int();
      cursor.int();
    } else if (type % 2 === 0) cursor.int();
    else cursor.bytes(cursor.int());
  }
}

const timescaleOf = (cursor: Cursor) => findPair(cursor, PROPERTY_TIMESCALE) ?? TIMESCALE;

/** In 48 kHz samples, whatever scale a relay has made of it; without one, the group tells. */
function timestampOf(properties: Cursor | null, subscription: Subscription, group: number): number {
  const told = properties ? findPair(properties, PROPERTY_TIMESTAMP) : undefined;
  return told === undefined ? group * 960 : Math.round((told * TIMESCALE) / subscription.timescale);
}
