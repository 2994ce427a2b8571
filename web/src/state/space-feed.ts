// One Space kept up to date: a snapshot, then its event stream folded into it, and a snapshot again where the stream
// cannot tell what is needed.

import { effect, type ReadonlySignal, signal } from "@preact/signals";
import { api, ok } from "@/api/client";
import { type Stream, stream } from "@/api/events";
import { learn } from "@/state/profiles";
import { noteDate } from "@/state/server-clock";
import { EVENT_TYPES, fold, fromSnapshot, hosts, type SpaceEvent, type SpaceState } from "@/state/space";

/** Told of every event after it was folded. */
export type Listener = (event: SpaceEvent, before: SpaceState, after: SpaceState) => void;

export interface SpaceFeed {
  readonly state: ReadonlySignal<SpaceState | null>;
  /** The stream is broken and comes back by itself. */
  readonly lost: ReadonlySignal<boolean>;
  /** Why there is nothing to show. */
  readonly error: ReadonlySignal<unknown>;
  /** Changes the state at once; what is returned takes that back, unless the server has told something newer. */
  suppose(change: Partial<SpaceState>): () => void;
  reload(): Promise<void>;
  /** Waits until the state is as new as this version, or the feed is closed: what a command's answer names is in it. */
  reached(version: number): Promise<void>;
  listen(listener: Listener): () => void;
  close(): void;
}

/** The stream brings what a command did about when its answer comes; after this, in ms, it is asked for. */
const LATE_MS = 1_000;

const OVER = new Set(["ended", "canceled"]);

/** Follows a Space for the account `me` (null: a guest) until closed. */
export function followSpace(space: string, me: string | null): SpaceFeed {
  const state = signal<SpaceState | null>(null);
  const lost = signal(false);
  const error = signal<unknown>(null);
  const listeners = new Set<Listener>();
  let events: Stream | null = null;
  const over = signal(false);
  let asking: Promise<void> | null = null;

  const reload = () => {
    asking ??= snapshot().finally(() => {
      asking = null;
    });
    return asking;
  };

  async function snapshot(): Promise<void> {
    try {
      const asked = api.GET("/api/v1/spaces/{space}", { params: { path: { space } } });
      const view = await ok(asked);
      noteDate((await asked).response);
      if (over.peek()) return;
      const before = state.value;
      // What came by the stream while the answer was on its way is newer; it is asked for again.
      if (before && view.version < before.version) {
        setTimeout(() => !over.peek() && reload(), 250);
        return;
      }
      state.value = fromSnapshot(view, before);
      error.value = null;
      if (hosts(view.you.role)) await lists();
      else if (before?.queue.length || before?.offers.length) merge({ queue: [], offers: [] });
      follow(view.version, view.status);
    } catch (problem) {
      // What is shown already is better than nothing: the stream says when the server is back.
      if (!over.peek() && state.value === null) error.value = problem;
    }
  }

  /** Who waits and who is invited, for hosts. */
  async function lists(): Promise<void> {
    const params = { path: { space }, query: { limit: 100 } };
    const [waiting, invited] = await Promise.all([
      ok(api.GET("/api/v1/spaces/{space}/requests", { params })),
      ok(api.GET("/api/v1/spaces/{space}/invites", { params })),
    ]);
    learn(...waiting.data.map((one) => one.profile), ...invited.data.map((one) => one.profile));
    merge({
      queue: waiting.data.map((one) => ({ account: one.profile.id, since: one.since })),
      offers: invited.data.map(({ profile, role, by, expires }) => ({ account: profile.id, role, by, expires })),
    });
  }

  const merge = (change: Partial<SpaceState>) => {
    if (state.value) state.value = { ...state.value, ...change };
  };

  function follow(version: number, status: string): void {
    if (events || over.peek() || OVER.has(status)) return;
    let first = true;
    events = stream(
      `/api/v1/spaces/${space}/events?after=${version}`,
      EVENT_TYPES,
      ({ data }) => take(data as SpaceEvent),
      {
        onOpen: () => {
          lost.value = false;
          // A stream that was away resumes where it stood; what is not an event (blocks, roles) may have changed.
          if (!first) void reload();
          first = false;
        },
        onLost: () => {
          lost.value = true;
        },
      },
    );
  }

  function take(event: SpaceEvent): void {
    const before = state.value;
    if (!before) return;
    if (event.event === "closed") {
      if (event.data.code === "stream.position") restart();
      return;
    }
    const after = fold(before, event, me);
    if (after === before) return;
    state.value = after;
    for (const listener of listeners) listener(event, before, after);
    // What only hosts are told comes with the role, and nothing that is over goes on.
    if (hosts(after.you.role) && !hosts(before.you.role)) void reload();
    if (OVER.has(after.status) && !OVER.has(before.status)) {
      events?.close();
      void reload();
    }
  }

  function restart(): void {
    events?.close();
    events = null;
    void reload();
  }

  async function reached(version: number): Promise<void> {
    const late = setTimeout(reload, LATE_MS);
    let stop = () => {};
    await new Promise<void>((resolve) => {
      stop = effect(() => {
        if (over.value || (state.value?.version ?? 0) >= version) resolve();
      });
    });
    stop();
    clearTimeout(late);
  }

  void reload();
  return {
    state,
    lost,
    error,
    reload,
    suppose(change) {
      const before = state.value;
      if (!before) return () => {};
      const supposed = { ...before, ...change };
      state.value = supposed;
      return () => {
        const now = state.value;
        if (!now) return;
        const back = Object.keys(change).filter(
          (key) => now[key as keyof SpaceState] === supposed[key as keyof SpaceState],
        );
        merge(Object.fromEntries(back.map((key) => [key, before[key as keyof SpaceState]])));
      };
    },
    reached,
    listen(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close() {
      over.value = true;
      events?.close();
    },
  };
}
