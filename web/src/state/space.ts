// What one Space is, folded from a snapshot (GET) and what its event stream tells since. Pure: no network, no clock.
//
// The stream tells a viewer every event that the viewer may see, in order and without loss, so versions that are left
// out are those that concern others. What was folded already is skipped by its version, so repeating does no harm.

import type { Schema } from "@/api/client";

export type SpaceView = Schema<"SpaceView">;
export type Seat = SpaceView["stage"][number];
export type Poll = SpaceView["polls"][number];
export type Role = SpaceView["you"]["role"];
export type Counts = Schema<"CountsView">;

/** Somebody who waits to speak. */
export interface Waiting {
  account: string;
  since: string;
}

/** An open invitation, as hosts see it. */
export interface Offer {
  account: string;
  role: string;
  by: string | null;
  expires: string | null;
}

export interface SpaceState extends SpaceView {
  counts: Counts | null;
  /** Reactions by kind since the Space began, as told last. */
  reactionTotals: Readonly<Record<string, number>> | null;
  /** Who waits to speak, oldest first. Hosts are told; for others it is empty. */
  queue: readonly Waiting[];
  /** Hosts are told; for others it is empty. */
  offers: readonly Offer[];
  /** Why it ended, if that was seen. */
  endedHow: string | null;
  /** Nobody is host and nobody can follow: the Space ends then. */
  hostlessUntil: string | null;
  /** We were put out. */
  removed: boolean;
}

/** An event of a Space's stream: `version` and `at` are missing for what is counted and never logged. */
export interface SpaceEvent {
  event: string;
  version?: number;
  at?: string;
  data: Readonly<Record<string, unknown>>;
}

/** What `fold` and the notices understand. */
export const EVENT_TYPES = [
  "hello",
  "closed",
  "counts",
  "blocked_speaker",
  "edited",
  "canceled",
  "started",
  "ended",
  "setting_changed",
  "joined",
  "left",
  "away",
  "back",
  "requested",
  "request_closed",
  "invited",
  "invite_closed",
  "speaker_added",
  "speaker_removed",
  "cohost_added",
  "cohost_removed",
  "admin_changed",
  "muted",
  "unmuted",
  "asked_to_unmute",
  "removed",
  "readmitted",
  "post_shared",
  "post_unshared",
  "poll_opened",
  "poll_voted",
  "poll_closed",
  "consent_changed",
  "recording_stopped",
  "replay_ready",
  "clip_created",
  "clip_deleted",
  "subscribed",
  "unsubscribed",
] as const;

/** Ways to lose a seat after which one has to ask again. */
const TAKEN_BACK = new Set(["revoked", "removed", "dropped_by_host"]);
const RANK: Record<string, number> = { host: 0, cohost: 1, speaker: 2 };

export const hosts = (role: Role) => role === "host" || role === "cohost";
export const onStage = (role: Role) => hosts(role) || role === "speaker";
/** May do what names them: react, ask to speak, clip, vote. */
export const named = (role: Role) => onStage(role) || role === "listener";
export const seatOf = (state: SpaceState, account: string | null | undefined) =>
  account ? state.stage.find((seat) => seat.account === account) : undefined;

/** A snapshot, with what an older state knew that snapshots do not tell. */
export function fromSnapshot(view: SpaceView, before: SpaceState | null = null): SpaceState {
  return {
    counts: before?.counts ?? null,
    reactionTotals: before?.reactionTotals ?? null,
    queue: before?.queue ?? [],
    offers: before?.offers ?? [],
    endedHow: before?.endedHow ?? null,
    hostlessUntil: before?.hostlessUntil ?? null,
    removed: before?.removed ?? false,
    ...view,
  };
}

/** The state after `event`, for a viewer whose account is `me` (null: a guest). The same object if nothing changed. */
export function fold(state: SpaceState, event: SpaceEvent, me: string | null): SpaceState {
  if (event.version === undefined) return counted(state, event);
  if (event.version <= state.version) return state;
  const at = event.at ?? state.updated;
  return { ...state, ...changes(state, event.event, event.data, at, me), version: event.version, updated: at };
}

function counted(state: SpaceState, { event, data }: SpaceEvent): SpaceState {
  if (event === "blocked_speaker") return { ...state, stage: seat(state, text(data.account), { blocked: true }) };
  if (event !== "counts") return state;
  const { named, anonymous, guests, reactions, polls } = data as {
    named: number;
    anonymous: number;
    guests: number;
    reactions?: Record<string, number>;
    polls?: Record<string, number[]>;
  };
  return {
    ...state,
    counts: { named, anonymous, guests },
    reactionTotals: reactions ?? state.reactionTotals,
    polls: polls
      ? state.polls.map((poll) => ({ ...poll, votes: polls[String(poll.poll)] ?? poll.votes }))
      : state.polls,
  };
}

type Data = SpaceEvent["data"];
type Changes = Partial<SpaceState>;

const text = (value: unknown) => (typeof value === "string" ? value : "");
const textOrNull = (value: unknown) => (typeof value === "string" ? value : null);

function changes(state: SpaceState, event: string, data: Data, at: string, me: string | null): Changes {
  const account = text(data.account);
  const mine = me !== null && account === me;
  const you = (change: Partial<SpaceState["you"]>): Changes => (mine ? { you: { ...state.you, ...change } } : {});
  switch (event) {
    case "edited":
      return given(data, {
        title: "title",
        description: "description",
        topics: "topics",
        scheduled_start: "scheduled_start",
      });
    case "setting_changed":
      return given(data, {
        speak: "speak",
        requests_open: "requests_open",
        mic_open: "mic_open",
        clips: "clips",
        captions: "captions",
        record: "record",
      });
    case "canceled":
      return { status: "canceled" };
    case "started":
      return { status: "live", started: at, record: data.record === true, recording: data.record === true };
    case "ended":
      return {
        status: "ended",
        ended: at,
        endedHow: text(data.how),
        admin: null,
        stage: [],
        queue: [],
        offers: [],
        recording: false,
      };
    case "recording_stopped":
      return { recording: false };
    case "replay_ready":
      return { replay: { ...state.replay, status: "available", duration_ms: Number(data.duration_ms ?? 0) } };
    case "away":
      return { stage: seat(state, account, { away: true }) };
    case "back":
      return { stage: seat(state, account, { away: false }) };
    case "muted": {
      const by = textOrNull(data.by);
      return { stage: seat(state, account, { muted: true, muted_by: by === account ? null : by }) };
    }
    case "unmuted":
      return { stage: seat(state, account, { muted: false, muted_by: null }) };
    case "requested":
      return { ...asked(state, account, at), ...you({ requested: at }) };
    case "request_closed":
      return { ...answered(state, account), ...you({ requested: null }) };
    case "invited": {
      const offer = { account, role: text(data.role), by: textOrNull(data.by), expires: textOrNull(data.expires) };
      const own = { role: offer.role as Role, by: offer.by, since: at, expires: offer.expires };
      const others = state.offers.filter((one) => one.account !== account);
      return {
        offers: hosts(state.you.role) ? [...others, offer] : others,
        ...you({ invited: own, may_take_mic: state.you.may_take_mic || offer.role === "speaker" }),
      };
    }
    case "invite_closed":
      return {
        offers: state.offers.filter((one) => one.account !== account),
        ...you({
          invited: null,
          may_take_mic: state.you.may_take_mic && (data.role !== "speaker" || data.how === "accepted"),
        }),
      };
    case "speaker_added":
      return {
        stage: seated(state.stage, account, Number(data.seat), "speaker", at),
        ...you({ role: "speaker", may_take_mic: true }),
      };
    case "cohost_added":
      return {
        stage: seated(state.stage, account, Number(data.seat), "cohost", at),
        ...you({ role: "cohost", may_take_mic: true }),
      };
    case "speaker_removed":
    case "cohost_removed":
      // A promotion follows at once and keeps the seat.
      if (data.how === "promoted") return {};
      return {
        stage: off(state.stage, account),
        ...you({ role: "listener", may_take_mic: state.you.may_take_mic && !TAKEN_BACK.has(text(data.how)) }),
        ...noLongerHost(state, mine),
      };
    case "admin_changed":
      return admin(state, data, at, me);
    case "left":
      return mine ? you({ role: "outsider", requested: null, invited: null }) : {};
    case "removed":
      return {
        stage: off(state.stage, account),
        ...answered(state, account),
        ...(mine ? { removed: true, ...you({ role: "outsider", requested: null, invited: null }) } : {}),
      };
    case "post_shared":
      return {
        pinned: [...state.pinned.filter((pin) => pin.post !== data.post), { post: text(data.post), by: text(data.by) }],
      };
    case "post_unshared":
      return { pinned: state.pinned.filter((pin) => pin.post !== data.post) };
    case "poll_opened": {
      const options = data.options as string[];
      const votes = options.map(() => 0);
      const opened = {
        poll: Number(data.poll),
        question: text(data.question),
        options,
        votes,
        by: text(data.by),
        closed: false,
      };
      return { polls: [...state.polls.filter((poll) => poll.poll !== opened.poll), opened] };
    }
    case "poll_closed":
      return { polls: state.polls.map((poll) => (poll.poll === data.poll ? { ...poll, closed: true } : poll)) };
    case "consent_changed":
      return you({ consented: data.on === true });
    case "subscribed":
      return { subscribers: state.subscribers + 1 };
    case "unsubscribed":
      return { subscribers: Math.max(0, state.subscribers - 1) };
    default:
      return {};
  }
}

/** What an event gives, under our names. */
function given(data: Data, names: Record<string, keyof SpaceState>): Changes {
  return Object.fromEntries(
    Object.entries(names)
      .filter(([name]) => data[name] !== undefined)
      .map(([name, ours]) => [ours, data[name]]),
  );
}

const seat = (state: SpaceState, account: string, change: Partial<Seat>) =>
  state.stage.map((one) => (one.account === account ? { ...one, ...change } : one));

const off = (stage: readonly Seat[], account: string) => stage.filter((one) => one.account !== account);

/** Host, co-hosts by order of addition, speakers by order of addition, as the server keeps them. */
function seated(stage: readonly Seat[], account: string, number: number, role: Role, at: string): Seat[] {
  const held = stage.find((one) => one.account === account);
  if (held?.role === role) return stage.map((one) => (one === held ? { ...held, seat: number } : one));
  const next: Seat = held
    ? { ...held, seat: number, role }
    : { seat: number, account, role, muted: true, muted_by: null, away: false, since: at, blocked: false };
  return [...off(stage, account), next].sort((a, b) => (RANK[a.role] ?? 3) - (RANK[b.role] ?? 3));
}

function asked(state: SpaceState, account: string, since: string): Changes {
  if (!hosts(state.you.role)) return {};
  const queue = [...state.queue.filter((one) => one.account !== account), { account, since }];
  return { queue, requests: queue.length };
}

function answered(state: SpaceState, account: string): Changes {
  const queue = state.queue.filter((one) => one.account !== account);
  return { queue, requests: hosts(state.you.role) ? queue.length : null };
}

const noLongerHost = (state: SpaceState, mine: boolean): Changes =>
  mine && hosts(state.you.role) ? { queue: [], offers: [], requests: null } : {};

/** The former admin is co-host (transferred, reclaimed) or off the stage (succeeded, hostless). */
function admin(state: SpaceState, data: Data, at: string, me: string | null): Changes {
  const account = textOrNull(data.account);
  const how = text(data.how);
  const former = seatOf(state, state.admin);
  let stage: readonly Seat[] = state.stage;
  let role = state.you.role;
  if (former && former.account !== account) {
    stage = off(stage, former.account);
    const stays = how === "transferred" || how === "reclaimed";
    if (stays)
      stage = [...stage, { ...former, role: "cohost" as Role }].sort(
        (a, b) => (RANK[a.role] ?? 3) - (RANK[b.role] ?? 3),
      );
    if (former.account === me) role = stays ? "cohost" : "outsider";
  }
  if (account !== null && typeof data.seat === "number") stage = seated(stage, account, data.seat, "host", at);
  const mine = account !== null && account === me;
  if (mine) role = "host";
  return {
    admin: account,
    stage: [...stage],
    hostlessUntil: textOrNull(data.until),
    you: { ...state.you, role, may_take_mic: state.you.may_take_mic || mine },
  };
}
