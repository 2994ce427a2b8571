// Both sessions over an in-memory WebTransport: what they send is byte for byte what the transcripts' peers accept, and what those
// peers sent is understood.
import assert from "node:assert/strict";
import test from "node:test";
import { Publication } from "../../../spaces_ctl/api/web/wire/session.js";
import { Lite05 } from "../../../spaces_ctl/api/web/wire/lite05.js";
import { Moqt18 } from "../../../spaces_ctl/api/web/wire/moqt18.js";

const hex = (bytes) => Buffer.from(bytes).toString("hex");
const unhexed = (text) => Uint8Array.from(Buffer.from(text.replaceAll(" ", ""), "hex"));
const settle = () => new Promise((resolve) => setTimeout(resolve, 5));

/** A pipe whose written bytes are kept, and whose readable side the test feeds. */
class Stream {
  sent = "";
  ended = false;
  aborted = false;
  constructor() {
    this.readable = new ReadableStream({ start: (controller) => (this.feed = controller) });
    this.writable = new WritableStream({
      write: (chunk) => void (this.sent += hex(chunk)),
      close: () => void (this.ended = true),
      abort: () => void (this.aborted = true),
    });
  }
  peer(text, { fin = false } = {}) {
    this.feed.enqueue(unhexed(text));
    if (fin) this.feed.close();
  }
}

class Transport {
  uni = [];
  bidi = [];
  sentDatagrams = [];
  closed = new Promise(() => {});
  constructor() {
    const source = (name) => new ReadableStream({ start: (controller) => (this[name] = controller) });
    this.incomingUnidirectionalStreams = source("peerUni");
    this.incomingBidirectionalStreams = source("peerBidi");
    this.datagrams = {
      readable: source("peerDatagram"),
      writable: new WritableStream({ write: (bytes) => void this.sentDatagrams.push(hex(bytes)) }),
    };
  }
  async createUnidirectionalStream() {
    this.uni.push(new Stream());
    return this.uni.at(-1).writable;
  }
  async createBidirectionalStream() {
    this.bidi.push(new Stream());
    return this.bidi.at(-1);
  }
  /** The peer opens a stream and sends `text` on it. */
  opens(text, options) {
    const stream = new Stream();
    this.peerBidi.enqueue(stream);
    stream.peer(text, options);
    return stream;
  }
  opensUni(text, options) {
    const stream = new Stream();
    this.peerUni.enqueue(stream.readable);
    stream.peer(text, options);
    return stream;
  }
}

async function begun(Session) {
  const transport = new Transport();
  const session = new Session(transport);
  await session.begin();
  await settle();
  return { transport, session };
}

function subscribed(session, track) {
  const log = { objects: [], accepted: 0, ended: [] };
  session.subscribe(["spaces", "demo"], track, {
    onAccepted: () => (log.accepted += 1),
    onObject: ({ group, object, timestamp, payload, datagram }) => log.objects.push([group, object, timestamp, hex(payload), datagram]),
    onEnd: (error) => log.ended.push(error?.message ?? null),
  });
  return log;
}

test("moq-lite: setup is one unidirectional stream, ended", async () => {
  const { transport } = await begun(Lite05);
  assert.equal(transport.uni[0].sent, "01" + "0100");
  assert.equal(transport.uni[0].ended, true);
});

test("moq-lite: a subscription, its datagrams and its group streams", async () => {
  const { transport, session } = await begun(Lite05);
  const log = subscribed(session, "stage");
  await settle();
  assert.equal(transport.bidi[0].sent, "02" + "18" + "00" + "0b7370616365732f64656d6f" + "057374616765" + "80" + "00000000");
  transport.bidi[0].peer("00 01 19");
  transport.peerDatagram.enqueue(unhexed("00 19 80005dc0 1122"));
  transport.peerDatagram.enqueue(unhexed("07 19 80005dc0 1122")); // somebody else's subscription
  transport.peerDatagram.enqueue(unhexed("00 80")); // cut short
  // A group of two frames: timestamps as zigzag deltas (0x8000bb80 = 48000 → 24000, 0x4780 = 1920 → 960).
  transport.opensUni("00 02 00 1a 8000bb80 02 aabb 4780 01 cc", { fin: true });
  await settle();
  assert.equal(log.accepted, 1);
  assert.deepEqual(log.objects, [
    [0x19, 0, 24_000, "1122", true],
    [0x1a, 0, 24_000, "aabb", false],
    [0x1a, 1, 24_960, "cc", false],
  ]);
  assert.equal(session.malformed, 1);
  transport.bidi[0].peer("01 01 1b", { fin: true });
  await settle();
  assert.deepEqual(log.ended, [null]);
});

test("moq-lite: announcements of the server are heard", async () => {
  const { transport, session } = await begun(Lite05);
  const heard = [];
  session.watch(["spaces"], (namespace, live) => heard.push([namespace.join("/"), live])).catch(() => {});
  await settle();
  assert.equal(transport.bidi[0].sent, "01" + "08" + "06737061636573" + "00");
  transport.bidi[0].peer("03 404d 01" + "07 01 04 64656d6f 00" + "07 00 04 64656d6f 00");
  await settle();
  assert.deepEqual(heard, [["spaces/demo", true], ["spaces/demo", false]]);
});

test("moq-lite: the server finds, asks about, subscribes to and leaves a seat of ours", async () => {
  const { transport, session } = await begun(Lite05);
  const demand = [];
  const publication = new Publication(["spaces", "demo", "seat", "3"], "audio", 960, (wanted) => demand.push(wanted));
  const announce = transport.opens("01 02 00 00");
  await settle();
  assert.equal(announce.sent, "02 00 00".replaceAll(" ", ""));
  await session.publish(publication);
  await settle();
  const path = "12" + hex(Buffer.from("spaces/demo/seat/3"));
  assert.equal(announce.sent.slice(6), "15" + "01" + path + "00");

  const track = transport.opens("06" + "19" + path + "05617564696f", { fin: true });
  await settle();
  assert.equal(track.sent, "07" + "80" + "00" + "00" + "8000bb80");

  const subscribe = transport.opens("02" + "1f" + "09" + path + "05617564696f" + "00" + "00000000");
  await settle();
  assert.equal(subscribe.sent, "00" + "01" + "00");
  assert.deepEqual(demand, [true]);
  session.send(publication, 5, unhexed("9f0178"));
  await settle();
  assert.deepEqual(transport.sentDatagrams, ["09" + "05" + "52c0" + "9f0178"]);

  subscribe.feed.close();
  await settle();
  assert.deepEqual(demand, [true, false]);
  assert.equal(subscribe.ended, true);
  await session.unpublish(publication);
  await settle();
  assert.ok(announce.sent.endsWith("15" + "00" + path + "00"));
});

test("moq-lite: a track that we do not have is refused", async () => {
  const { transport } = await begun(Lite05);
  const stream = transport.opens("06" + "08" + "0178" + "05617564696f");
  await settle();
  assert.equal(stream.aborted, true);
});

test("moqt: SETUP opens the control stream and keeps it", async () => {
  const { transport } = await begun(Moqt18);
  assert.equal(transport.uni[0].sent, "af00" + "000c" + "070a" + hex(Buffer.from("spaces-web")));
  assert.equal(transport.uni[0].ended, false);
});

test("moqt: SUBSCRIBE is the one that every peer tried sends, but for its priority", async () => {
  const { transport, session } = await begun(Moqt18);
  const log = subscribed(session, "stage");
  await settle();
  assert.equal(transport.bidi[0].sent, "03001e0002067370616365730464656d6f057374616765041001108001010201" + "02");
  transport.bidi[0].peer("040006 01 00 08c0bb80");
  await settle();
  transport.peerDatagram.enqueue(unhexed("0f 01 19 04 10c05dc0 1122"));
  transport.peerDatagram.enqueue(unhexed("09 01 19 01 04 10c05dc0 33")); // object 1, not the end of its group
  transport.opensUni("79 01 1a 00 04 10c06180 02 aabb 00 04 10c06540 01 cc", { fin: true });
  await settle();
  assert.deepEqual(log.objects, [
    [0x19, 0, 24_000, "1122", true],
    [0x19, 1, 24_000, "33", true],
    [0x1a, 0, 24_960, "aabb", false],
    [0x1a, 1, 25_920, "cc", false],
  ]);
  assert.equal(log.accepted, 1);
});

test("moqt: a relay's timescale is turned into samples, and LARGEST is passed over", async () => {
  const { transport, session } = await begun(Moqt18);
  const log = subscribed(session, "stage");
  await settle();
  transport.bidi[0].peer("040009 02 01 09 1905 08 cf4240"); // LARGEST (25, 5), TIMESCALE 1,000,000
  await settle();
  transport.peerDatagram.enqueue(unhexed("0f 02 19 05 10e007a120 11")); // 500,000 µs
  await settle();
  assert.deepEqual(log.objects, [[0x19, 0, 24_000, "11", true]]);
});

test("moqt: a group stream that overtakes its SUBSCRIBE_OK is kept", async () => {
  const { transport, session } = await begun(Moqt18);
  const log = subscribed(session, "state");
  await settle();
  transport.opensUni("78 07 03 00 02 7b7d", { fin: true });
  await settle();
  assert.deepEqual(log.objects, []);
  transport.bidi[0].peer("040006 07 00 08c0bb80");
  await settle();
  assert.deepEqual(log.objects, [[3, 0, 2880, "7b7d", false]]);
});

test("moqt: a refusal reaches the subscriber in the server's words", async () => {
  const { transport, session } = await begun(Moqt18);
  const log = subscribed(session, "nonsense");
  await settle();
  transport.bidi[0].peer("05000a 10 00 07" + hex(Buffer.from("unknown")));
  await settle();
  assert.deepEqual(log.ended, ["unknown"]);
});

test("moqt: a seat is announced, subscribed to and fed", async () => {
  const { transport, session } = await begun(Moqt18);
  const publication = new Publication(["spaces", "demo", "seat", "3"], "audio", 960);
  const published = session.publish(publication);
  await settle();
  const name = "04067370616365730464656d6f04736561740133";
  assert.equal(transport.bidi[0].sent, "060016" + "00" + name + "00");
  transport.bidi[0].peer("07000100");
  await published;
  const subscribe = transport.opens("03" + "0025" + "01" + name + "05617564696f" + "04100110ff0101020102");
  await settle();
  assert.equal(subscribe.sent, "040006" + "01" + "00" + "08c0bb80");
  session.send(publication, 5, unhexed("9f0178"));
  await settle();
  assert.deepEqual(transport.sentDatagrams, ["0f" + "01" + "05" + "03" + "1092c0" + "9f0178"]);
});

test("moqt: GOAWAY on the control stream is heard", async () => {
  const { transport, session } = await begun(Moqt18);
  let to = null;
  session.goAway = (uri) => (to = uri);
  transport.opensUni("af00 0007 0705" + hex(Buffer.from("spike")) + "10 0004 02 2f78 00");
  await settle();
  assert.equal(to, "/x");
});
