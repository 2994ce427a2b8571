// @vitest-environment node
// The wire modules against bytes that other implementations sent or accepted, and against hostile ones.

import { expect, test } from "vitest";
import { seatsOf } from "@/live/bundle";
import { unhex } from "@/live/transport-webtransport";
import { Cursor, StreamReader, WireError, Writer } from "@/live/wire/bytes";
import { type Codec, quic, vi64 } from "@/live/wire/varint";
import { hex, unhexed } from "./bytes-for-tests";

const written = (codec: Codec, value: number) => hex(new Writer(codec).int(value).done());
const streamOf = (chunks: Uint8Array[]) =>
  new ReadableStream<Uint8Array>({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk);
      controller.close();
    },
  });

test("QUIC integers are those of RFC 9000 appendix A.1", () => {
  for (const [text, value] of [
    ["25", 37],
    ["7bbd", 15_293],
    ["9d7f3e7d", 494_878_333],
  ] as const) {
    expect(new Cursor(unhexed(text), quic).int()).toBe(value);
    expect(written(quic, value)).toBe(text);
  }
  for (const value of [0, 63, 64, 16_383, 16_384, 2 ** 30 - 1, 2 ** 30, 2 ** 53 - 1]) {
    expect(new Cursor(unhexed(written(quic, value)), quic).int()).toBe(value);
  }
});

test("vi64 integers are those of the transcripts", () => {
  expect(written(vi64, 48_000)).toBe("c0bb80");
  expect(written(vi64, 0x2f00)).toBe("af00");
  expect(new Cursor(unhexed("fe0b22190439d494"), vi64).int()).toBe(3_133_715_584_242_836);
  expect(new Cursor(unhexed("ff0000000000000007"), vi64).int()).toBe(7);
  for (let bits = 0; bits <= 53; bits++) {
    for (const value of [2 ** bits - 1, 2 ** bits].filter(Number.isSafeInteger)) {
      const bytes = unhexed(written(vi64, value));
      expect(vi64.length(bytes[0] ?? 0)).toBe(bytes.length);
      expect(new Cursor(bytes, vi64).int()).toBe(value);
    }
  }
});

test("integers cut anywhere are an error, not a wrong number", () => {
  for (const [codec, whole] of [
    [quic, "9d7f3e7d"],
    [vi64, "fe0b22190439d494"],
  ] as const) {
    for (let cut = 0; cut < whole.length; cut += 2) {
      expect(() => new Cursor(unhexed(whole.slice(0, cut)), codec).int()).toThrow(WireError);
    }
  }
});

test("a stream is read alike however it is cut", async () => {
  const whole = unhexed("0b7370616365732f64656d6f7bbd05");
  for (const size of [1, 2, 5, whole.length]) {
    const chunks: Uint8Array[] = [];
    for (let at = 0; at < whole.length; at += size) chunks.push(whole.subarray(at, at + size));
    const reader = new StreamReader(streamOf(chunks), quic);
    expect(Buffer.from(await reader.bytes(await reader.int())).toString()).toBe("spaces/demo");
    expect(await reader.int()).toBe(15_293);
    expect(await reader.u8()).toBe(5);
    expect(await reader.atEnd()).toBe(true);
    await expect(reader.u8()).rejects.toThrow(WireError);
  }
});

test("a block that claims to be huge is refused before its bytes come", async () => {
  const reader = new StreamReader(new ReadableStream<Uint8Array>({}), quic);
  await expect(reader.bytes(1 << 30)).rejects.toThrow(/too long/);
});

test("who speaks in a bundle is read without its sound", () => {
  expect(seatsOf(unhexed("13a803780102" + "6ca80109"))).toEqual(new Set([3, 12]));
  const long = new Uint8Array([...unhexed("00a840c8"), ...new Uint8Array(200), ...unhexed("05a80109")]);
  expect(seatsOf(long)).toEqual(new Set([0, 5]));
  for (const bad of ["", "0d000100", "13a8", "0fffffffff", "00a8ffffffffffffffff"]) {
    expect([...seatsOf(unhexed(bad))].every((seat) => seat < 13)).toBe(true);
  }
});

test("fingerprints come with or without colons", () => {
  expect(unhex("00:Ff:10")).toEqual(Uint8Array.of(0, 255, 16));
  expect(() => unhex("0g")).toThrow(/hexadecimal/);
});
