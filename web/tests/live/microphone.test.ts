// The microphone through what happens to devices: chosen, unplugged, taken back, gone for good.

import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { ToEngine } from "@/live/engine-messages";
import { MicrophoneControl } from "@/live/microphone-control";

class Track extends EventTarget {
  readyState = "live";
  constructor(
    readonly deviceId: string,
    readonly label: string,
  ) {
    super();
  }
  getSettings = () => ({ deviceId: this.deviceId });
  stop = () => {
    this.readyState = "ended";
  };
  /** As the browser does when it is unplugged, or the permission is taken back. */
  end(): void {
    this.readyState = "ended";
    this.dispatchEvent(new Event("ended"));
  }
}

/** What is plugged in, the system's own choice first. */
let plugged: string[];
let allowed: boolean;
let tracks: Track[];
let told: ToEngine[];
let open: boolean[];
let microphone: MicrophoneControl;
let context: AudioContext | null;

async function getUserMedia({ audio }: { audio: { deviceId?: { exact: string } } }) {
  if (!allowed) throw new DOMException("", "NotAllowedError");
  const wanted = audio.deviceId?.exact ?? plugged[0];
  if (wanted === undefined) throw new DOMException("", "NotFoundError");
  if (!plugged.includes(wanted)) throw new DOMException("", "OverconstrainedError");
  const track = new Track(wanted, `The ${wanted}`);
  tracks.push(track);
  return { getAudioTracks: () => [track], getTracks: () => [track] };
}

class Node {
  port = { postMessage() {} };
  connect() {}
  disconnect() {}
}
const last = () => tracks.at(-1) as Track;
const unplug = (device: string) => {
  plugged = plugged.filter((one) => one !== device);
  last().end();
};
const state = () => microphone.signal.value;

function make(): void {
  microphone = new MicrophoneControl({
    tell: (message) => told.push(message),
    context: () => context,
    onOpen: (now) => open.push(now),
    onMuted: () => {},
  });
}

beforeEach(() => {
  localStorage.clear();
  context = { audioWorklet: { addModule: async () => {} }, destination: {} } as unknown as AudioContext;
  plugged = ["desk", "headset"];
  allowed = true;
  tracks = [];
  told = [];
  open = [];
  vi.stubGlobal("navigator", { mediaDevices: { getUserMedia } });
  vi.stubGlobal("AudioEncoder", class {});
  vi.stubGlobal("AudioWorkletNode", Node);
  vi.stubGlobal("MediaStreamAudioSourceNode", Node);
  make();
});
afterEach(() => void vi.unstubAllGlobals());

test("unplugged while speaking, another goes on and that is said", async () => {
  await microphone.speak(false);
  unplug("desk");
  await vi.waitFor(() => expect(state().replacedBy).toBe("The headset"));
  expect(state()).toMatchObject({ state: "on", muted: false, device: "headset" });
  expect(told.some((message) => "quiet" in message)).toBe(false);
});

test("the last one unplugged: it says so, lets go of the screen, and can be opened again", async () => {
  plugged = ["desk"];
  await microphone.speak(false);
  unplug("desk");
  await vi.waitFor(() => expect(state().state).toBe("refused"));
  expect(state().trouble).toContain("No microphone was found");
  expect(told.at(-1)).toEqual({ quiet: true });
  expect(open).toEqual([true, false]);
  plugged = ["other"];
  await microphone.speak(true);
  expect(state()).toMatchObject({ state: "on", device: "other", trouble: null });
});

test("the permission taken back while speaking ends it with what to do", async () => {
  await microphone.speak(false);
  allowed = false;
  last().end();
  await vi.waitFor(() => expect(state().state).toBe("refused"));
  expect(state().trouble).toContain("not allowed");
});

test("a choice that cannot be had leaves the open microphone on", async () => {
  await microphone.speak(false);
  const before = last();
  await expect(microphone.choose("gone")).rejects.toThrow("That microphone is gone");
  expect(before.readyState).toBe("live");
  expect(state()).toMatchObject({ state: "on", device: "desk" });
});

test("the chosen one is opened next time too, and the system's own where it is no longer", async () => {
  await microphone.speak(false);
  await microphone.choose("headset");
  expect(state().device).toBe("headset");
  make();
  await microphone.speak(true);
  expect(last().deviceId).toBe("headset");
  plugged = ["desk"];
  make();
  await microphone.speak(true);
  expect(state()).toMatchObject({ state: "on", device: "desk" });
});

test("the old track is let go of when another device is chosen, and does not count as lost", async () => {
  await microphone.speak(false);
  const before = last();
  await microphone.choose("headset");
  expect(before.readyState).toBe("ended");
  before.end();
  await Promise.resolve();
  expect(state()).toMatchObject({ state: "on", device: "headset", replacedBy: null });
});

test("left while the browser still asks: the microphone is closed at once", async () => {
  const speaking = microphone.speak(false);
  context = null;
  await speaking;
  expect(last().readyState).toBe("ended");
  expect(told).toEqual([]);
});
