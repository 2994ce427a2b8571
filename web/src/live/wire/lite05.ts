// moq-lite-05, the client's end (draft-lcurley-moq-lite-05). Every request is a bidirectional stream that begins with its
// type; messages are `size | body`; objects come as datagrams or as one unidirectional stream a group.

import { Cursor, type StreamReader, WireError, Writer } from "./bytes";
import { type Out, Session } from "./session";
import type { Subscription } from "./tracks";
import { quic } from "./varint";

const STREAM = { ANNOUNCE: 1, SUBSCRIBE: 2, GOAWAY: 5, TRACK: 6 };
const UNI = { GROUP: 0, SETUP: 1 };
const RESPONSE = { START: 0, END: 1, DROP: 2 };
const ANNOUNCE = { ENDED: 0, ACTIVE: 1, RESTART: 2 };
const TIMESCALE = 48_000;

export class Lite05 extends Session {
  readonly protocol = "moq-lite-05";
  readonly codec = quic;

  protected async start(): Promise<void> {
    const setup = await this.openUni();
    await setup.write(new Writer(quic).int(UNI.SETUP).sized(new Writer(quic).int(0)).done());
    await setup.close();
  }

  // --- what we ask of the server ---

  async watch(prefix: readonly string[], onNamespace: (namespace: string[], live: boolean) => void): Promise<void> {
    const { reader, writer } = await this.openBidi();
    const path = prefix.join("/");
    await writer.write(new Writer(quic).int(STREAM.ANNOUNCE).sized(new Writer(quic).string(path).int(0)).done());
    await reader.sized(); // ANNOUNCE_OK: the peer's origin id and how many follow at once; neither matters here
    while (!(await reader.atEnd())) {
      const message = await reader.sized();
      const status = message.u8();
      const suffix = message.string();
      if (status > ANNOUNCE.RESTART) throw new WireError(`unknown announce status ${status}`);
      const full = [path, suffix].filter(Boolean).join("/");
      onNamespace(full.split("/"), status !== ANNOUNCE.ENDED);
    }
  }

  async ping(prefix: readonly string[]): Promise<void> {
    const { reader, writer } = await this.openBidi();
    const interest = new Writer(quic).string(prefix.join("/")).int(0);
    await writer.write(new Writer(quic).int(STREAM.ANNOUNCE).sized(interest).done());
    await reader.sized(); // ANNOUNCE_OK
    await Promise.all([this.abort(writer, 0), reader.cancel()]);
  }

  protected async requestTrack(subscription: Subscription): Promise<void> {
    const { reader, writer } = await this.openBidi();
    subscription.abandon = (code) => Promise.all([this.abort(writer, code), reader.cancel()]);
    this.route(subscription.id, subscription);
    const body = new Writer(quic).int(subscription.id).string(subscription.namespace.join("/"));
    body.string(subscription.track);
    body.u8(subscription.priority).u8(0).int(0).int(0).int(0); // not ordered, no maximum latency, from the latest group on
    await writer.write(new Writer(quic).int(STREAM.SUBSCRIBE).sized(body).done());
    this.#followSubscription(reader, subscription).then(
      () => subscription.end(),
      (error) => subscription.end(error),
    );
  }

  async #followSubscription(reader: StreamReader, subscription: Subscription): Promise<void> {
    while (!(await reader.atEnd())) {
      const type = await reader.int();
      await reader.sized();
      if (type === RESPONSE.START) subscription.accepted();
      else if (type === RESPONSE.END) return;
      else if (type !== RESPONSE.DROP) throw new WireError(`unknown subscribe response ${type}`);
    }
  }

  // --- what the server asks of us ---

  protected async onBidi(reader: StreamReader, writer: Out): Promise<unknown> {
    const type = await reader.int();
    if (type === STREAM.ANNOUNCE) return this.#answerAnnounce(reader, writer);
    if (type === STREAM.TRACK) return this.#answerTrack(reader, writer);
    if (type === STREAM.SUBSCRIBE) return this.#answerSubscribe(reader, writer);
    if (type === STREAM.GOAWAY) return this.goAway((await reader.sized()).string());
    return this.abort(writer, 0);
  }

  async #answerAnnounce(reader: StreamReader, writer: Out): Promise<void> {
    const prefix = (await reader.sized()).string();
    const told = new Set<string>();
    const wanted = () =>
      this.published.map(({ namespace }) => namespace.join("/")).filter((path) => under(path, prefix));
    const first = wanted();
    await writer.write(new Writer(quic).sized(new Writer(quic).int(0).int(first.length)).done());
    const tell = async () => {
      const now = new Set(wanted());
      for (const path of told) if (!now.has(path)) await this.#tell(writer, ANNOUNCE.ENDED, path, prefix, told);
      for (const path of now) if (!told.has(path)) await this.#tell(writer, ANNOUNCE.ACTIVE, path, prefix, told);
    };
    await tell();
    this.onPublishedChange(() => tell().catch(() => {}));
    await reader.atEnd();
  }

  #tell(writer: Out, status: number, path: string, prefix: string, told: Set<string>): Promise<void> {
    if (status === ANNOUNCE.ENDED) told.delete(path);
    else told.add(path);
    const suffix = prefix === "" ? path : path.slice(prefix.length).replace(/^\//, "");
    return writer.write(new Writer(quic).sized(new Writer(quic).u8(status).string(suffix).int(0)).done());
  }

  async #answerTrack(reader: StreamReader, writer: Out): Promise<void> {
    const request = await reader.sized();
    if (!this.publication(request.string().split("/"), request.string())) return this.abort(writer, 0);
    // Priority, not ordered, nothing kept of older groups, 48 kHz timestamps.
    await writer.write(new Writer(quic).sized(new Writer(quic).u8(128).u8(0).int(0).int(TIMESCALE)).done());
    await writer.close();
  }

  async #answerSubscribe(reader: StreamReader, writer: Out): Promise<void> {
    const request = await reader.sized();
    const id = request.int();
    const publication = this.publication(request.string().split("/"), request.string());
    if (!publication) return this.abort(writer, 0);
    const subscriber = {
      // The header carries the *subscriber's* id, so each has its own.
      datagram: (group: number, payload: Uint8Array) =>
        new Writer(quic)
          .int(id)
          .int(group)
          .int(group * publication.samplesPerGroup)
          .bytes(payload)
          .done(),
      end: () => writer.close().catch(() => {}),
    };
    await writer.write(new Writer(quic).int(RESPONSE.START).sized(new Writer(quic).int(publication.nextGroup)).done());
    publication.add(subscriber);
    try {
      while (!(await reader.atEnd())) await reader.sized(); // SUBSCRIBE_UPDATE: nothing in it changes what we send
    } finally {
      publication.remove(subscriber);
    }
    await writer.close();
  }

  // --- objects ---

  protected async onUni(reader: StreamReader): Promise<unknown> {
    const type = await reader.int();
    if (type === UNI.SETUP) return; // nothing in it that a page needs
    if (type !== UNI.GROUP) return reader.cancel();
    const head = await reader.sized();
    const subscription = this.routed(head.int());
    const group = head.int();
    if (!subscription) return reader.cancel();
    let timestamp = 0;
    for (let object = 0; !(await reader.atEnd()); object++) {
      timestamp += unzigzag(await reader.int());
      const payload = await reader.bytes(await reader.int());
      subscription.object({ group, object, timestamp, payload, datagram: false });
    }
  }

  protected onDatagram(bytes: Uint8Array): void {
    const datagram = new Cursor(bytes, quic);
    const subscription = this.routed(datagram.int());
    const group = datagram.int();
    const timestamp = datagram.int();
    subscription?.object({ group, object: 0, timestamp, payload: datagram.rest(), datagram: true });
  }
}

const unzigzag = (value: number) => (value % 2 === 0 ? value / 2 : -(value + 1) / 2);

/** Whether `path` lies at or under `prefix`, by whole fields. */
const under = (path: string, prefix: string) => prefix === "" || path === prefix || path.startsWith(`${prefix}/`);
