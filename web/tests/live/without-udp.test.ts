import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { LiveHls } from "@/live/live-hls";
import { type Address, ConnectError } from "@/live/transport";
import { openWebSocket } from "@/live/transport-websocket";
import { target } from "@/live/transport-webtransport";

const ADDRESS: Address = {
  urls: ["https://a:1/spaces/x", "wss://a:2/spaces/x"],
  origin: "https://page",
  space: "x",
  token: "a.b.c",
  certificate: null,
  protocol: "moq-lite-05",
};

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("each transport takes the first address that it speaks", () => {
  expect(target(ADDRESS, /^https:/)).toBe("https://a:1/spaces/x?jwt=a.b.c&protocol=moq-lite-05");
  expect(target(ADDRESS, /^wss?:/)).toBe("wss://a:2/spaces/x?jwt=a.b.c&protocol=moq-lite-05");
});

test("without an address for a WebSocket trying again is no use", async () => {
  const error = await openWebSocket({ ...ADDRESS, urls: ["https://a:1"] }, new AbortController().signal).catch(
    (error) => error,
  );
  expect(error).toBeInstanceOf(ConnectError);
  expect(error.retry).toBe(false);
});

function hls(native: boolean) {
  const audio = {
    canPlayType: () => (native ? "maybe" : ""),
    play: vi.fn(async () => {}),
    pause: vi.fn(),
    removeAttribute: vi.fn(),
  } as unknown as HTMLAudioElement;
  const playing = vi.fn();
  const live = new LiveHls({ space: "x", patience: 1_000, audio: () => audio, onPlaying: playing, onBlocked: vi.fn() });
  return { audio, playing, live };
}

test("HLS begins when nothing else has worked for a while, and not if something has", async () => {
  const { live, audio } = hls(true);
  live.arm();
  await vi.advanceTimersByTimeAsync(999);
  live.stop();
  await vi.advanceTimersByTimeAsync(5_000);
  expect(live.running).toBe(false);
  live.arm();
  await vi.advanceTimersByTimeAsync(1_000);
  await vi.waitFor(() => expect(audio.src).toBe("/api/v1/spaces/x/live/hls/main.m3u8"));
  expect(live.running).toBe(true);
  live.stop();
  expect(audio.pause).toHaveBeenCalled();
  expect(live.running).toBe(false);
});

test("a browser that plays no HLS either is told so once", async () => {
  const { live, playing } = hls(false);
  await live.start();
  expect(playing.mock.calls).toEqual([[false]]);
  expect(live.running).toBe(false);
});
