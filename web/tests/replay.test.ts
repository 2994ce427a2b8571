import { expect, test } from "vitest";
import { useLanguage } from "@/i18n";
import { chapterAt, chapterText, talksAt } from "@/views/replay/lists";
import { readCue } from "@/views/replay/playback";
import { clipEndMs } from "@/views/replay/replay";
import { loudest } from "@/views/replay/waveform";

test("a bar is as tall as the loudest of its points, in both directions", () => {
  const peaks = { sample_rate: 100, samples_per_pixel: 10, length: 4, data: [-10, 5, -1, 127, -64, 2, 0, 0] };
  expect(loudest(peaks, 0.4, 2)).toEqual([1, 64 / 127]);
});

test("what lies behind the replay's end is not drawn", () => {
  const peaks = { sample_rate: 100, samples_per_pixel: 10, length: 4, data: [0, 1, 0, 1, 0, 127, 0, 127] };
  expect(Math.max(...loudest(peaks, 0.2, 2))).toBeCloseTo(1 / 127);
});

test("more bars than points: none is left out, none reads beyond", () => {
  const peaks = { sample_rate: 1, samples_per_pixel: 1, length: 1, data: [-127, 0] };
  expect(loudest(peaks, 1, 3)).toEqual([1, 1, 1]);
});

test("a turn holds its first moment and not its last", () => {
  expect(talksAt([[1_000, 2_000]], 1)).toBe(true);
  expect(talksAt([[1_000, 2_000]], 2)).toBe(false);
});

test("the chapter is the last that began", () => {
  const chapters = [{ at_ms: 0 }, { at_ms: 5_000 }];
  expect(chapterAt(chapters, 4.9)).toBe(chapters[0]);
  expect(chapterAt(chapters, 5)).toBe(chapters[1]);
  expect(chapterAt([{ at_ms: 10 }], 0)).toBeUndefined();
});

test("chapters say what happened", async () => {
  await useLanguage("en");
  expect(chapterText({ kind: "speaker", text: "Ann" })).toBe("Ann came to the stage");
  expect(chapterText({ kind: "title", text: "New" })).toBe("New");
});

test("a cue's voice is apart from its words, markup and entities are read", () => {
  expect(readCue({ startTime: 1, endTime: 2, text: "<v.loud Ann &amp; Bo>1 &lt; <b>2</b>" })).toEqual({
    from: 1,
    to: 2,
    who: "Ann & Bo",
    text: "1 < 2",
  });
});

test("a clip counts from the Space's start, however much of the replay was cut off", () => {
  const space = { started: "2026-01-01T10:00:00.000Z" };
  expect(clipEndMs(space, { started: "2026-01-01T10:00:07.500Z" }, 2)).toBe(9_500);
});
