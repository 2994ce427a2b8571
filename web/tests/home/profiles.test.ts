import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { profile } from "@/state/profiles";

const asked: string[][] = [];
let refuse = false;

beforeEach(() => {
  vi.useFakeTimers();
  asked.length = 0;
  refuse = false;
  vi.stubGlobal("fetch", async (request: Request) => {
    const ids = (new URL(request.url).searchParams.get("ids") ?? "").split(",");
    asked.push(ids);
    if (refuse) return Response.json({ code: "graph.unavailable" }, { status: 503 });
    return Response.json({ data: ids.map((id) => ({ id, handle: `u${id}`, name: `U${id}` })) });
  });
});
afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

test("who is wanted in the same moment is asked for at once, each account once", async () => {
  const [one, two] = [profile("1"), profile("2")];
  expect(profile("1")).toBe(one);
  await vi.runAllTimersAsync();
  expect(asked).toEqual([["1", "2"]]);
  expect([one.value?.name, two.value?.name]).toEqual(["U1", "U2"]);
  profile("2");
  await vi.runAllTimersAsync();
  expect(asked).toHaveLength(1);
});

test("no request names more accounts than the server takes", async () => {
  for (let id = 1_000; id < 1_150; id++) profile(String(id));
  await vi.runAllTimersAsync();
  expect(asked.map((ids) => ids.length)).toEqual([100, 50]);
});

test("what could not be asked is asked again by who needs it next", async () => {
  refuse = true;
  profile("7");
  await vi.runAllTimersAsync();
  refuse = false;
  const later = profile("7");
  await vi.runAllTimersAsync();
  expect(asked).toEqual([["7"], ["7"]]);
  expect(later.value?.name).toBe("U7");
});
