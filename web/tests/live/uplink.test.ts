// @vitest-environment node
// What a speaker sends, and when.

import { expect, test } from "vitest";
import { encodeUplink, levelOf, MutedTalk, Talkspurts, VoiceActivity } from "@/live/uplink";
import { hex } from "./bytes-for-tests";

/** Talkspurts as the encoder cuts them: by the voice in levels. */
function speaker() {
  const activity = new VoiceActivity();
  const spurts = new Talkspurts();
  return { spurts, next: (level: number) => spurts.next(activity.next(level)) };
}

test("a speaker's object has the engine's layout", () => {
  const opus = Uint8Array.of(0x78, 1, 2, 3);
  expect(hex(encodeUplink(31, { voice: true, start: true, end: false }, opus))).toBe("9f0178010203");
  const flags = { voice: false, start: false, end: false };
  expect(() => encodeUplink(0, flags, new Uint8Array(513))).toThrow(RangeError);
  expect(() => encodeUplink(0, flags, new Uint8Array(0))).toThrow(RangeError);
});

test("levels are −dBov", () => {
  expect(levelOf(new Float32Array(960))).toBe(127);
  expect(levelOf(new Float32Array(960).fill(1))).toBe(0);
  expect(levelOf(Float32Array.from({ length: 960 }, (_, i) => 0.1 * Math.sin(i / 5)))).toBe(23);
});

test("a talkspurt has one start and one end, and its hang-over covers a pause between words", () => {
  const { next } = speaker();
  const say = (level: number, frames: number) => Array.from({ length: frames }, () => next(level));
  expect(say(90, 50).filter((flags) => flags)).toEqual([]);
  const sent = [...say(25, 30), ...say(90, 15), ...say(28, 20), ...say(90, 60)].filter((flags) => flags !== null);
  expect(sent.filter(({ start }) => start).length).toBe(1);
  expect(sent.filter(({ end }) => end).length).toBe(1);
  expect(sent[0]?.start && sent.at(-1)?.end).toBe(true);
  expect(sent.length).toBe(30 + 15 + 20 + 25);
});

test("muting ends the talkspurt, and talking again begins another", () => {
  const { spurts, next } = speaker();
  expect(spurts.cut()).toBe(null);
  expect(next(20)?.start).toBe(true);
  expect(spurts.cut()).toEqual({ voice: false, start: false, end: true });
  expect(spurts.cut()).toBe(null);
  expect(next(20)?.start).toBe(true);
});

test("a fan that hums on is not voice, somebody who talks over it is", () => {
  const { next } = speaker();
  for (let i = 0; i < 500; i++) next(58);
  expect(next(58)).toBe(null);
  expect(next(45)?.start).toBe(true);
});

test("who talks while muted is told after a few words, not for a cough, and not for ever", () => {
  const talk = new MutedTalk();
  const run = (voice: boolean, muted: boolean, frames: number) =>
    Array.from({ length: frames }, () => talk.next(voice, muted)).at(-1);
  expect(run(true, false, 100)).toBe(false);
  expect(run(true, true, 8)).toBe(false);
  run(false, true, 20);
  expect(run(true, true, 8)).toBe(false);
  expect(run(true, true, 10)).toBe(true);
  expect(run(false, true, 50)).toBe(true);
  expect(run(false, true, 60)).toBe(false);
  run(true, true, 30);
  expect(run(true, false, 1)).toBe(false);
});
