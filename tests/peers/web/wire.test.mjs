// The page's wire modules against bytes that other implementations sent or accepted, and against hostile ones.
import assert from "node:assert/strict";
import test from "node:test";
import { decodeBundle, encodeBundle } from "../../../spaces_ctl/api/web/bundle.js";
import { Talkspurts, encodeUplink, levelOf, packetSamples } from "../../../spaces_ctl/api/web/uplink.js";
import { Cursor, StreamReader, WireError, Writer } from "../../../spaces_ctl/api/web/wire/bytes.js";
import { connect, missing, unhex } from "../../../spaces_ctl/api/web/wire/connect.js";
import { quic, vi64 } from "../../../spaces_ctl/api/web/wire/varint.js";

const hex = (bytes) => Buffer.from(bytes).toString("hex");
const unhexed = (text) => Uint8Array.from(Buffer.from(text, "hex"));
const streamOf = (chunks) =>
  new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk);
      controller.close();
    },
  });
const written = (codec, value) => hex(new Writer(codec).int(value).done());

test("QUIC integers are those of RFC 9000 appendix A.1", () => {
  for (const [text, value] of [["25", 37], ["7bbd", 15_293], ["9d7f3e7d", 494_878_333]]) {
    assert.equal(new Cursor(unhexed(text), quic).int(), value);
    assert.equal(written(quic, value), text);
  }
  for (const value of [0, 63, 64, 16_383, 16_384, 2 ** 30 - 1, 2 ** 30, 2 ** 53 - 1]) {
    assert.equal(new Cursor(unhexed(written(quic, value)), quic).int(), value);
  }
});

test("vi64 integers are those of the transcripts", () => {
  assert.equal(written(vi64, 48_000), "c0bb80");
  assert.equal(written(vi64, 0x2f00), "af00");
  assert.equal(new Cursor(unhexed("fe0b22190439d494"), vi64).int(), 3_133_715_584_242_836);
  assert.equal(new Cursor(unhexed("ff0000000000000007"), vi64).int(), 7);
  for (let bits = 0; bits <= 53; bits++) {
    for (const value of [2 ** bits - 1, 2 ** bits].filter(Number.isSafeInteger)) {
      const bytes = unhexed(written(vi64, value));
      assert.equal(vi64.length(bytes[0]), bytes.length);
      assert.equal(new Cursor(bytes, vi64).int(), value);
    }
  }
});

test("integers cut anywhere are an error, not a wrong number", () => {
  for (const [codec, whole] of [[quic, "9d7f3e7d"], [vi64, "fe0b22190439d494"]]) {
    for (let cut = 0; cut < whole.length; cut += 2) {
      assert.throws(() => new Cursor(unhexed(whole.slice(0, cut)), codec).int(), WireError);
    }
  }
});

test("a stream is read alike however it is cut", async () => {
  const whole = unhexed("0b7370616365732f64656d6f7bbd05");
  for (const size of [1, 2, 5, whole.length]) {
    const chunks = [];
    for (let at = 0; at < whole.length; at += size) chunks.push(whole.subarray(at, at + size));
    const reader = new StreamReader(streamOf(chunks), quic);
    assert.equal(Buffer.from(await reader.bytes(await reader.int())).toString(), "spaces/demo");
    assert.equal(await reader.int(), 15_293);
    assert.equal(await reader.u8(), 5);
    assert.equal(await reader.atEnd(), true);
    await assert.rejects(reader.u8(), WireError);
  }
});

test("a block that claims to be huge is refused before its bytes come", async () => {
  const reader = new StreamReader(new ReadableStream({}), quic);
  await assert.rejects(reader.bytes(1 << 30), /too long/);
});

const entry = (seat, opus, more = {}) => ({ seat, level: 40, voice: true, start: false, end: false, redundant: false, opus, ...more });

test("a bundle has the engine's layout", () => {
  const bundle = encodeBundle([entry(3, Uint8Array.of(0x78, 1, 2), { start: true }), entry(12, Uint8Array.of(9), { end: true, redundant: true })]);
  assert.equal(hex(bundle), "13a803780102" + "6ca80109");
  assert.deepEqual(decodeBundle(bundle), [
    entry(3, Uint8Array.of(0x78, 1, 2), { start: true }),
    entry(12, Uint8Array.of(9), { end: true, redundant: true }),
  ]);
});

test("long frames take a two-byte length", () => {
  const opus = new Uint8Array(200).fill(7);
  assert.equal(hex(encodeBundle([entry(0, opus)]).subarray(0, 4)), "00a840c8");
  assert.deepEqual(decodeBundle(encodeBundle([entry(0, opus)]))[0].opus, opus);
});

test("a bundle that makes no sense is an error", () => {
  const good = encodeBundle([entry(1, new Uint8Array(30))]);
  for (let cut = 1; cut < good.length; cut++) assert.throws(() => decodeBundle(good.subarray(0, cut)), WireError);
  for (const bad of ["0d000100", "80000100", "000000", "00004201"]) assert.throws(() => decodeBundle(unhexed(bad)), WireError, bad);
  assert.deepEqual(decodeBundle(new Uint8Array(0)), []);
});

test("a speaker's object has the engine's layout", () => {
  const opus = Uint8Array.of(0x78, 1, 2, 3);
  assert.equal(hex(encodeUplink({ level: 31, voice: true, start: true, end: false, opus })), "9f0178010203");
  assert.throws(() => encodeUplink({ level: 0, opus: new Uint8Array(513) }), RangeError);
});

test("levels are −dBov", () => {
  assert.equal(levelOf(new Float32Array(960)), 127);
  assert.equal(levelOf(new Float32Array(960).fill(1)), 0);
  assert.equal(levelOf(Float32Array.from({ length: 960 }, (_, i) => 0.1 * Math.sin(i / 5))), 23);
});

test("packet durations follow RFC 6716", () => {
  for (const [toc, samples] of [[[0x78], 960], [[0x70], 480], [[0x79], 1920], [[0xfb, 3], 2880], [[0xfb], 0], [[], 0], [[0x08], 960], [[0x18], 2880]]) {
    assert.equal(packetSamples(Uint8Array.from(toc)), samples);
  }
});

test("a talkspurt has one start and one end, and its hang-over covers a pause between words", () => {
  const spurts = new Talkspurts();
  const say = (level, frames) => Array.from({ length: frames }, () => spurts.next(level));
  assert.deepEqual(say(90, 50).filter(Boolean), []);
  const talk = [...say(25, 30), ...say(90, 15), ...say(28, 20), ...say(90, 60)];
  const sent = talk.filter(Boolean);
  assert.equal(sent.filter(({ start }) => start).length, 1);
  assert.equal(sent.filter(({ end }) => end).length, 1);
  assert.ok(sent[0].start && sent.at(-1).end);
  assert.equal(sent.length, 30 + 15 + 20 + 25);
});

test("muting ends the talkspurt, and talking again begins another", () => {
  const spurts = new Talkspurts();
  assert.equal(spurts.cut(), null);
  assert.ok(spurts.next(20).start);
  assert.deepEqual(spurts.cut(), { voice: false, start: false, end: true });
  assert.equal(spurts.cut(), null);
  assert.ok(spurts.next(20).start);
});

test("a fan that hums on is not voice, somebody who talks over it is", () => {
  const spurts = new Talkspurts();
  for (let i = 0; i < 500; i++) spurts.next(58);
  assert.equal(spurts.next(58), null);
  assert.ok(spurts.next(45).start);
});

test("what a browser lacks is named", () => {
  const whole = { isSecureContext: true, WebTransport: class {}, AudioDecoder: class {} };
  assert.equal(missing(whole), null);
  assert.match(missing({ ...whole, WebTransport: undefined }), /WebTransport/);
  assert.match(missing({ ...whole, isSecureContext: false }), /secure/);
});

test("fingerprints come with or without colons", async () => {
  assert.deepEqual(unhex("00:Ff:10"), Uint8Array.of(0, 255, 16));
  assert.throws(() => unhex("0g"), /hexadecimal/);
  await assert.rejects(connect({ url: "https://x/", protocol: "moqt-99" }), /does not speak/);
});
