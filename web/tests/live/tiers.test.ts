// @vitest-environment node
// What is heard: by advice, by wish, by seat; and what the device says of data.

import { expect, test, vi } from "vitest";
import { DataSaver, isLow, isThrifty } from "@/live/data-saver";
import { adviceIn, TierChoice } from "@/live/tiers";

const bytes = (text: string) => new TextEncoder().encode(text);

test("advice is read of what follows a snapshot, and of nothing else", () => {
  expect(adviceIn(bytes('{"tier":"mix","counts":{"named":1}}'))).toBe("mix");
  expect(adviceIn(bytes('{"tier":"stage-only"}'))).toBe("stage-only");
  for (const other of ['{"space":"7","title":"tier"}', '{"tier":"loud"}', "{", "null", ""]) {
    expect(adviceIn(bytes(other))).toBe(null);
  }
});

test("both tracks are needed until the wanted one is played", () => {
  const choice = new TierChoice();
  expect([choice.wanted, [...choice.needed]]).toEqual(["stage", ["stage"]]);
  choice.advice = "mix";
  expect([choice.wanted, [...choice.needed]]).toEqual(["mix", ["mix", "stage"]]);
  choice.playing = "mix";
  expect([...choice.needed]).toEqual(["mix"]);
  choice.advice = "stage";
  expect([...choice.needed]).toEqual(["stage", "mix"]);
});

test("who saves data hears the mix, but not from the stage, and not where there is none", () => {
  const choice = new TierChoice();
  choice.savesData = true;
  expect(choice.wanted).toBe("mix");
  choice.seated = true;
  expect(choice.wanted).toBe("stage");
  choice.seated = false;
  choice.refuse();
  expect(choice.wanted).toBe("stage");
  choice.advice = "stage-only";
  choice.advice = "stage";
  expect(choice.wanted).toBe("mix");
});

test("a battery is low until it is well above, and never while it charges", () => {
  expect(isLow({ charging: false, level: 0.15 }, false)).toBe(true);
  expect(isLow({ charging: false, level: 0.2 }, false)).toBe(false);
  expect(isLow({ charging: false, level: 0.25 }, true)).toBe(true);
  expect(isLow({ charging: false, level: 0.26 }, true)).toBe(false);
  expect(isLow({ charging: true, level: 0.01 }, true)).toBe(false);
});

test("data is dear where the device says so", () => {
  expect(isThrifty({ saveData: true, effectiveType: "4g" })).toBe(true);
  expect(isThrifty({ effectiveType: "2g" })).toBe(true);
  expect(isThrifty({ effectiveType: "3g" })).toBe(false);
  expect(isThrifty({})).toBe(false);
});

test("the person's choice is kept, the device is followed while we listen", async () => {
  const kept = new Map<string, string>();
  const store = {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => void kept.set(key, value),
    removeItem: (key: string) => void kept.delete(key),
  };
  const connection = Object.assign(new EventTarget(), { saveData: false, effectiveType: "4g" });
  const battery = Object.assign(new EventTarget(), { charging: false, level: 0.5 });
  const told = vi.fn();
  const saver = new DataSaver(store, { connection, getBattery: async () => battery }, told);
  saver.choose(true);
  expect([saver.wanted, told.mock.lastCall, new DataSaver(store, {}, told).chosen]).toEqual([true, [true], true]);
  saver.choose(false);
  expect([saver.wanted, told.mock.lastCall]).toEqual([false, [false]]);
  saver.watch();
  await Promise.resolve();
  connection.saveData = true;
  connection.dispatchEvent(new Event("change"));
  expect(told.mock.lastCall).toEqual([true]);
  connection.saveData = false;
  connection.dispatchEvent(new Event("change"));
  expect(told.mock.lastCall).toEqual([false]);
  battery.level = 0.1;
  battery.dispatchEvent(new Event("levelchange"));
  expect(told.mock.lastCall).toEqual([true]);
  battery.charging = true;
  battery.dispatchEvent(new Event("chargingchange"));
  expect(told.mock.lastCall).toEqual([false]);
  saver.end();
  told.mockClear();
  connection.saveData = true;
  connection.dispatchEvent(new Event("change"));
  expect(told).not.toHaveBeenCalled();
});
