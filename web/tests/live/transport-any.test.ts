// @vitest-environment node
// Which way to the server is taken, in virtual time.

import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type Address, ConnectError, type OpenTransport, type Transport } from "@/live/transport";
import { HEAD_START, transportChoice } from "@/live/transport-any";
import { MemoryTransport } from "./bytes-for-tests";

const address = {} as Address;
beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** A way that opens, or fails, after so many ms; Infinity: never. */
function way(path: Transport["path"], ms: number, failure?: ConnectError) {
  const log = { begun: 0, aborted: 0, made: [] as MemoryTransport[] };
  const open: OpenTransport = (_, signal) => {
    log.begun += 1;
    return new Promise((resolve, reject) => {
      const timer =
        ms === Number.POSITIVE_INFINITY
          ? undefined
          : setTimeout(() => {
              const transport = new MemoryTransport("moq-lite-05", path);
              log.made.push(transport);
              if (failure) reject(failure);
              else resolve(transport);
            }, ms);
      signal.addEventListener("abort", () => {
        log.aborted += 1;
        clearTimeout(timer);
        reject(new ConnectError("Given up."));
      });
    });
  };
  return { open, log };
}
const never = new AbortController().signal;
const taken = async (opened: Promise<Transport>, ms: number) => {
  opened.catch(() => {});
  await vi.advanceTimersByTimeAsync(ms);
  return (await opened).path;
};

test("WebTransport that opens is taken, and nothing else is tried", async () => {
  const [udp, tcp] = [way("webtransport", 800), way("websocket", 50)];
  expect(await taken(transportChoice([udp.open, tcp.open]).open(address, never), 800)).toBe("webtransport");
  expect(tcp.log.begun).toBe(0);
});

test("where UDP is blocked the WebSocket begins after the head start, and WebTransport is given up", async () => {
  const [udp, tcp] = [way("webtransport", Number.POSITIVE_INFINITY), way("websocket", 50)];
  const opened = transportChoice([udp.open, tcp.open]).open(address, never);
  await vi.advanceTimersByTimeAsync(HEAD_START - 1);
  expect(tcp.log.begun).toBe(0);
  expect(await taken(opened, 51)).toBe("websocket");
  expect(udp.log.aborted).toBe(1);
});

test("where WebTransport is missing the WebSocket begins at once", async () => {
  const failure = new ConnectError("This browser has no WebTransport.", "", false);
  const [udp, tcp] = [way("webtransport", 0, failure), way("websocket", 50)];
  expect(await taken(transportChoice([udp.open, tcp.open]).open(address, never), 51)).toBe("websocket");
});

test("what worked is first next time, until the network changes", async () => {
  const [udp, tcp] = [way("webtransport", Number.POSITIVE_INFINITY), way("websocket", 50)];
  const choice = transportChoice([udp.open, tcp.open]);
  await taken(choice.open(address, never), HEAD_START + 50);
  expect(await taken(choice.open(address, never), 50)).toBe("websocket");
  expect(udp.log.begun).toBe(1);
  choice.forget();
  await taken(choice.open(address, never), HEAD_START + 50);
  expect(udp.log.begun).toBe(2);
});

test("when WebTransport comes first after all, the WebSocket that opens later is closed", async () => {
  const udp = way("webtransport", HEAD_START + 100);
  const late = new MemoryTransport("moq-lite-05", "websocket");
  // Does not look at the signal: opens whatever happens.
  const tcp: OpenTransport = () => new Promise((resolve) => setTimeout(() => resolve(late), 500));
  const choice = transportChoice([udp.open, tcp]);
  expect(await taken(choice.open(address, never), HEAD_START + 100)).toBe("webtransport");
  await vi.advanceTimersByTimeAsync(1_000);
  expect(late.ended).not.toBe(null);
});

test("when all fail, what the server itself said is told", async () => {
  const ways = [
    way("webtransport", 10, new ConnectError("cannot be reached")),
    way("websocket", 10, new ConnectError("full", "node.capacity")),
  ];
  const opened = transportChoice(ways.map(({ open }) => open)).open(address, never);
  await expect(taken(opened, 100)).rejects.toMatchObject({ code: "node.capacity" });
});

test("who gives up gives up on all", async () => {
  const ways = [way("webtransport", Number.POSITIVE_INFINITY), way("websocket", Number.POSITIVE_INFINITY)];
  const stop = new AbortController();
  const opened = transportChoice(ways.map(({ open }) => open)).open(address, stop.signal);
  opened.catch(() => {});
  await vi.advanceTimersByTimeAsync(HEAD_START + 10);
  stop.abort();
  await expect(opened).rejects.toThrow("Given up");
  expect(ways.map(({ log }) => log.aborted)).toEqual([1, 1]);
});
