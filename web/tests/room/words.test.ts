// What is told and shown: notices, reactions, keys, levels.
import { describe, expect, it } from "vitest";
import { fold, fromSnapshot, type SpaceEvent, type SpaceState, type SpaceView } from "@/state/space";
import { glow, speaks } from "@/views/room/level";
import { noticeOf } from "@/views/room/notices";
import { bubbles, MOST_BUBBLES, since } from "@/views/room/reactions";
import { shortcutOf } from "@/views/room/shortcuts";
import recorded from "./recorded.json";

type Viewer = "host" | "sue" | "guest";

/** Every notice that a viewer of the recorded Space gets, in order. */
function told(viewer: Viewer): string[] {
  const { begin, events } = recorded[viewer] as unknown as { begin: SpaceView; events: SpaceEvent[] };
  const { me } = recorded[viewer];
  let state: SpaceState = fromSnapshot(begin);
  return events.flatMap((event) => {
    const before = state;
    state = fold(before, event, me);
    return noticeOf(event, before, state, me)?.text ?? [];
  });
}

describe("notices", () => {
  it("tell the host who wants to speak, and no more of it than that", () => {
    expect(told("host").filter((text) => text === "room.noticeRequest")).toHaveLength(2);
    expect(told("guest")).not.toContain("room.noticeRequest");
  });
  it("tell who was muted, by whom, and nobody else", () => {
    expect(told("sue")).toContain("room.noticeMutedBy");
    // Was muted already when all were.
    expect(told("sue")).not.toContain("room.noticeMutedAll");
    expect(told("guest").filter((text) => text.startsWith("room.noticeMuted"))).toEqual([]);
  });
  it("tell of a new seat and of a lost one", () => {
    expect(told("sue")).toContain("room.noticeSpeaker");
    expect(told("sue")).toContain("room.noticeCohostYou");
    expect(told("sue")).toContain("room.noticeCohostLost");
  });
  it("tell everybody of a new host, a poll, a pin and a recording that stops", () => {
    for (const viewer of ["sue", "guest"] as const) {
      for (const text of ["Host", "Poll", "Pinned", "RecordingStopped"]) {
        expect(told(viewer)).toContain(`room.notice${text}`);
      }
    }
  });
  it("warn of a blocked account that speaks", () => {
    const state = fromSnapshot(recorded.sue.begin as unknown as SpaceView);
    const event = { event: "blocked_speaker", data: { account: "1" } };
    expect(noticeOf(event, state, state, recorded.sue.me)).toEqual({ text: "room.noticeBlockedSpeaker", warn: true });
  });
});

describe("reactions", () => {
  it("are what came since the last count", () => {
    expect(since({ joy: 2, fist: 1 }, { joy: 5, fist: 1, wave: 1 })).toEqual([
      ["joy", 3],
      ["wave", 1],
    ]);
  });
  it("of the time before we came are not shown", () => expect(since(null, { joy: 500 })).toEqual([]));
  it("are shown one by one while they are few", () => expect(bubbles(3)).toHaveLength(3));
  it("of a crowd are a few bubbles, the last with the number of the rest", () => {
    const many = bubbles(1_000);
    expect(many).toHaveLength(MOST_BUBBLES);
    expect(many.reduce((sum, { times }) => sum + times, 0)).toBe(1_000);
  });
});

describe("keys", () => {
  const press = (key: string, target: HTMLElement = document.body, more: KeyboardEventInit = {}) => {
    let found: ReturnType<typeof shortcutOf> = null;
    const listen = (event: KeyboardEvent) => {
      found = shortcutOf(event);
    };
    document.addEventListener("keydown", listen);
    target.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, ...more }));
    document.removeEventListener("keydown", listen);
    return found;
  };
  it("are shortcuts in the room", () => {
    expect([press("m"), press("R"), press("c"), press("?")]).toEqual(["mic", "hand", "captions", "help"]);
  });
  it("are letters where somebody writes", () => {
    const field = document.body.appendChild(document.createElement("input"));
    expect(press("m", field)).toBeNull();
    field.remove();
  });
  it("are the browser's with Control, and not repeated", () => {
    expect(press("r", document.body, { ctrlKey: true })).toBeNull();
    expect(press("m", document.body, { repeat: true })).toBeNull();
  });
  it("do nothing behind a dialog", () => {
    const dialog = document.body.appendChild(document.createElement("dialog"));
    dialog.setAttribute("open", "");
    expect(press("m")).toBeNull();
    dialog.remove();
  });
});

it("shows louder levels larger, and silence as nothing", () => {
  expect(glow(127)).toBe(0);
  expect(glow(0)).toBe(1);
  expect(glow(25)).toBeGreaterThan(glow(40));
  expect([speaks(30), speaks(60)]).toEqual([true, false]);
});
