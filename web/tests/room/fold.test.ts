// The fold against what a real server told three viewers of one Space (record_events.py): snapshot and events must say
// the same.
import { describe, expect, it } from "vitest";
import {
  EVENT_TYPES,
  fold,
  fromSnapshot,
  onStage,
  type SpaceEvent,
  type SpaceState,
  type SpaceView,
} from "@/state/space";
import recorded from "./recorded.json";

interface Recorded {
  me: string | null;
  begin: SpaceView;
  events: SpaceEvent[];
  moments: { after: number; view: SpaceView }[];
}
const viewers = Object.entries(recorded as unknown as Record<string, Recorded>);

/**
 * What both tell `me`. Who becomes host later is told more by a new snapshot (`space-feed.ts` asks for it): that is left
 * out for who was none at the beginning. A snapshot's `updated` counts events that the viewer may not see; disclosure is for the door. */
function told(view: SpaceView | SpaceState, me: string | null, hosted: boolean) {
  const { status, title, topics, admin, mic_open, speak, clips, captions, record, recording } = view;
  const { pinned, polls, started, ended, requests, requests_open, you } = view;
  return {
    stage: view.stage.map((seat) => (hosted || seat.account === me ? seat : { ...seat, muted_by: null })),
    status,
    title,
    topics,
    admin,
    mic_open,
    speak,
    clips,
    captions,
    record,
    recording,
    pinned,
    polls,
    started,
    ended: ended !== null,
    requests: hosted && view.status === "live" ? requests : null,
    requests_open,
    // Listeners come and go without events, so who is not on stage may be either.
    you: { ...you, role: view.status === "live" && onStage(you.role) ? you.role : "off stage" },
  };
}

describe.each(viewers)("as %s saw it", (_, { me, begin, events, moments }) => {
  it.each(moments.map((moment, index) => [index, moment] as const))("moment %i", (_index, { after, view }) => {
    const state = events.slice(0, after).reduce((now, event) => fold(now, event, me), fromSnapshot(begin));
    const hosted = begin.you.role === "host";
    expect(told(state, me, hosted)).toEqual(told(view, me, hosted));
  });

  it("takes nothing twice", () => {
    const once = events.reduce((now, event) => fold(now, event, me), fromSnapshot(begin));
    const twice = events.filter(({ version }) => version).reduce((now, event) => fold(now, event, me), once);
    expect(twice).toEqual(once);
  });
});

it("knows every event that was recorded", () => {
  const seen = new Set(viewers.flatMap(([, { events }]) => events.map(({ event }) => event)));
  expect([...seen].filter((event) => !(EVENT_TYPES as readonly string[]).includes(event))).toEqual([]);
});

describe("what only hosts see", () => {
  const host = viewers.find(([name]) => name === "host")?.[1] as Recorded;
  const at = (after: number) =>
    host.events.slice(0, after).reduce((now, event) => fold(now, event, host.me), fromSnapshot(host.begin));
  it("has requests in the order in which they came", () => {
    const requests = host.events.filter(({ event }) => event === "requested").map(({ data }) => data.account);
    const second = host.events.findLastIndex(({ event }) => event === "requested") + 1;
    expect(at(second).queue.map(({ account }) => account)).toEqual(requests);
  });
  it("is empty again when they were answered", () => {
    const answered = host.events.findLastIndex(({ event }) => event === "request_closed") + 1;
    expect(at(answered).queue).toEqual([]);
  });
  it("has invitations until they are answered", () => {
    const invited = host.events.findIndex(({ event }) => event === "invited") + 1;
    expect(at(invited).offers).toHaveLength(1);
    expect(at(host.events.length).offers).toEqual([]);
  });
});

it("counts people, votes and reactions without a version", () => {
  const host = viewers.find(([name]) => name === "host")?.[1] as Recorded;
  const state = host.events.reduce((now, event) => fold(now, event, host.me), fromSnapshot(host.begin));
  expect(state.reactionTotals).toMatchObject({ joy: 1, wave: 0 });
  expect(state.polls[0]?.votes).toEqual([0, 1]);
});

it("marks a blocked speaker for who blocks them", () => {
  const [, { begin, events, me }] = viewers[0] as (typeof viewers)[0];
  const joined = events.findIndex(({ event }) => event === "speaker_added") + 1;
  const state = events.slice(0, joined).reduce((now, event) => fold(now, event, me), fromSnapshot(begin));
  const account = String(events[joined - 1]?.data.account);
  const after = fold(state, { event: "blocked_speaker", data: { account } }, me);
  expect(after.stage.find((seat) => seat.account === account)?.blocked).toBe(true);
});
