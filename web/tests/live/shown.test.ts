// @vitest-environment node
// What is made of the sound for people to see: quality, captions, volumes.

import { expect, test } from "vitest";
import { CaptionLines, STALE } from "@/live/caption-lines";
import { PersonVolumes } from "@/live/person-volumes";
import { bars, QualityWindow } from "@/live/quality";
import { type ReceiverStats, STATS } from "@/live/receiver";
import { remedyFor } from "@/live/refusals";

const stats = (change: Partial<ReceiverStats>) =>
  ({ ...Object.fromEntries(STATS.map((name) => [name, 0])), ...change }) as ReceiverStats;

test("quality is that of the last ten seconds", () => {
  const quality = new QualityWindow();
  quality.add(0, stats({}), 20);
  const bad = quality.add(
    1_000,
    stats({
      decodedSamples: 43_200,
      concealedSamples: 3_840,
      fecSamples: 960,
      redundantPackets: 5,
      delayMs: 80,
      targetMs: 60,
    }),
    20,
  );
  expect(bad.concealed).toBeCloseTo(0.08);
  expect(bad.lost).toBeCloseTo(0.2);
  expect([bad.bufferMs, bad.targetMs, bad.delayMs]).toEqual([80, 60, 100]);
  expect(bad.bars).toBe(2);
  let later = bad;
  for (let second = 2; second < 14; second++) {
    const decodedSamples = 43_200 + (second - 1) * 48_000;
    later = quality.add(second * 1_000, stats({ decodedSamples, concealedSamples: 3_840, delayMs: 40 }), 20);
  }
  expect([later.concealed, later.lost, later.bars]).toEqual([0, 0, 4]);
});

test("holes and delay both take bars away", () => {
  expect([0, 0.02, 0.06, 0.3].map((concealed) => bars(concealed, 60))).toEqual([4, 3, 2, 1]);
  expect([100, 300, 500, 900].map((delay) => bars(0, delay))).toEqual([4, 3, 2, 1]);
});

const line = (n: number, text: string, final = false) => ({ n, account: "7", start_ms: 0, end_ms: 1, text, final });

test("a line's later text replaces it, unless it is final already", () => {
  const lines = new CaptionLines();
  lines.take(line(1, "hel"), 0);
  lines.take(line(2, "you"), 5);
  expect(lines.take(line(1, "hello", true), 10).map(({ text }) => text)).toEqual(["hello", "you"]);
  expect(lines.take(line(1, "hel"), 20)[0]).toEqual({ line: "1", account: "7", text: "hello", final: true });
});

test("an unfinished line goes when nothing follows, a final one stays", () => {
  const lines = new CaptionLines();
  lines.take(line(1, "done", true), 0);
  lines.take(line(2, "withdrawn"), 0);
  expect(lines.current(STALE - 1).length).toBe(2);
  expect(lines.current(STALE).map(({ text }) => text)).toEqual(["done"]);
});

test("fifty lines are kept, and what is no line is none", () => {
  const lines = new CaptionLines();
  for (let n = 0; n < 80; n++) lines.take(line(n, `${n}`, true), n);
  for (const bad of [null, 3, "x", {}, { n: 1 }, { n: "1", account: "7", text: "x" }]) lines.take(bad, 0);
  const shown = lines.current(0);
  expect([shown.length, shown[0]?.text, shown.at(-1)?.text]).toEqual([50, "30", "79"]);
});

test("a person's volume follows them from seat to seat, and is kept", () => {
  const kept = new Map<string, string>();
  const store = {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => void kept.set(key, value),
    removeItem: (key: string) => void kept.delete(key),
  };
  const seats: Record<number, string> = { 3: "ada" };
  const applied: [number, number][] = [];
  const volumes = new PersonVolumes(
    { accountAt: (seat) => seats[seat] },
    store,
    (seat, gain) => void applied.push([seat, gain]),
  );
  volumes.set("ada", 0.5);
  delete seats[3];
  seats[8] = "ada";
  volumes.follow();
  volumes.follow();
  expect(applied).toEqual([
    [3, 0.5],
    [3, 1],
    [8, 0.5],
  ]);
  expect(volumes.of("ada")).toBe(0.5);
  volumes.anew();
  expect(applied.slice(3)).toEqual([[8, 0.5]]);
  volumes.set("ada", 9);
  expect(volumes.of("ada")).toBe(1.5);
  kept.set("spaces.volume.ada", "loud");
  expect(volumes.of("ada")).toBe(1);
});

test("reasons are for good, but for those that pass", () => {
  expect(remedyFor("")).toBe("retry");
  expect(remedyFor("idle timeout")).toBe("retry");
  expect(remedyFor("node.capacity")).toBe("retry");
  expect(remedyFor("auth.token_expired")).toBe("admission");
  for (const code of ["state.ended", "participant.blocked_by_host", "ticket.required", "something.new"]) {
    expect(remedyFor(code)).toBe("none");
  }
});
