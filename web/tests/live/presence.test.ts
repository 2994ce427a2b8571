// What the device shows and keeps awake: media keys, and a screen that stays on.

import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { mediaControls, ScreenLock } from "@/live/presence";

const settled = () => new Promise((resolve) => setTimeout(resolve));

let handlers: Map<string, () => void>;
let session: { metadata: unknown; playbackState: string; setMicrophoneActive: ReturnType<typeof vi.fn> };
let locks: { released: boolean; release(): Promise<void> }[];
let request: () => Promise<unknown>;

beforeEach(() => {
  handlers = new Map();
  locks = [];
  session = Object.assign(
    { metadata: null, playbackState: "none", setMicrophoneActive: vi.fn() },
    {
      setActionHandler(action: string, act: (() => void) | null) {
        if (action === "hangup") throw new TypeError("an action that this browser does not know");
        if (act) handlers.set(action, act);
        else handlers.delete(action);
      },
    },
  );
  request = async () => {
    const lock = {
      released: false,
      async release() {
        this.released = true;
      },
    };
    locks.push(lock);
    return lock;
  };
  vi.stubGlobal("navigator", { mediaSession: session, wakeLock: { request: () => request() } });
  vi.stubGlobal(
    "MediaMetadata",
    class {
      constructor(readonly given: object) {}
    },
  );
});
afterEach(() => void vi.unstubAllGlobals());

test("media keys pause, play, mute and leave; what a browser lacks is no error", () => {
  const asked: string[] = [];
  const controls = mediaControls({
    title: "Tea",
    artist: "Live Space",
    onPause: (paused) => asked.push(`pause ${paused}`),
    onMicrophone: () => asked.push("microphone"),
    onLeave: () => asked.push("leave"),
  });
  expect(session.metadata).toMatchObject({ given: { title: "Tea", artist: "Live Space" } });
  for (const action of ["pause", "play", "togglemicrophone", "stop"]) handlers.get(action)?.();
  expect(asked).toEqual(["pause true", "pause false", "microphone", "leave"]);
  controls.show(false, null);
  expect(session.playbackState).toBe("playing");
  expect(session.setMicrophoneActive).toHaveBeenLastCalledWith(false);
  controls.show(true, false);
  expect(session.playbackState).toBe("paused");
  controls.show(false, true);
  expect(session.setMicrophoneActive).toHaveBeenLastCalledWith(true);
  controls.end();
  expect(handlers.size).toBe(0);
  expect(session).toMatchObject({ metadata: null, playbackState: "none" });
});

test("the screen stays on while held, also after the page was hidden, and is let go of at the end", async () => {
  const screen = new ScreenLock();
  screen.seen();
  await settled();
  expect(locks).toHaveLength(0);
  screen.hold(true);
  await settled();
  expect(locks).toHaveLength(1);
  screen.seen();
  await settled();
  expect(locks).toHaveLength(1);
  (locks[0] as { released: boolean }).released = true; // hidden: the browser takes it
  screen.seen();
  await settled();
  expect(locks).toHaveLength(2);
  screen.hold(false);
  await settled();
  expect(locks.map(({ released }) => released)).toEqual([true, true]);
});

test("asked for twice at once there is one lock, and none if nobody wants it by then", async () => {
  const screen = new ScreenLock();
  screen.hold(true);
  screen.seen();
  screen.hold(false);
  await settled();
  expect(locks.map(({ released }) => released)).toEqual([true]);
});

test("a browser that refuses is asked again when the page is seen", async () => {
  const willing = request;
  request = async () => {
    throw new DOMException("", "NotAllowedError");
  };
  const screen = new ScreenLock();
  screen.hold(true);
  await settled();
  request = willing;
  screen.seen();
  await settled();
  expect(locks).toHaveLength(1);
});
