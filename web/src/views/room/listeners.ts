// Who listens, a page at a time, as found by a search; asked again now and then, as listeners come and go without events.

import { type ReadonlySignal, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { api, ok, type Schema } from "@/api/client";
import { learn } from "@/state/profiles";

export type Person = Schema<"PersonView">;

const PAGE = 50;
const AGAIN_MS = 10_000;
const TYPING_MS = 250;
/** A search may answer with empty pages that lead on. */
const MOST_EMPTY = 5;

export interface Listeners {
  people: ReadonlySignal<readonly Person[]>;
  /** There are more: `more` gets them. */
  next: ReadonlySignal<string | null>;
  loading: ReadonlySignal<boolean>;
  error: ReadonlySignal<unknown>;
  more: () => Promise<void>;
  again: () => Promise<void>;
}

/** People of a Space whose name or handle has `search` in it (all, if it is empty), the stage first. */
export function useListeners(space: string, search: string): Listeners {
  const people = useSignal<readonly Person[]>([]);
  const next = useSignal<string | null>(null);
  const loading = useSignal(true);
  const error = useSignal<unknown>(null);
  const turn = useSignal(0);

  async function page(cursor: string | null): Promise<{ data: Person[]; next: string | null }> {
    let found: Person[] = [];
    let from = cursor;
    for (let asked = 0; asked < MOST_EMPTY; asked++) {
      const query = { limit: PAGE, ...(from ? { cursor: from } : {}), ...(search ? { q: search } : {}) };
      const answer = await ok(api.GET("/api/v1/spaces/{space}/people", { params: { path: { space }, query } }));
      found = [...found, ...answer.data];
      from = answer.next;
      if (found.length > 0 || from === null) break;
    }
    learn(...found.map((person) => person.profile));
    return { data: found, next: from };
  }

  async function load(cursor: string | null): Promise<void> {
    const mine = ++turn.value;
    loading.value = true;
    try {
      const answer = await page(cursor);
      if (mine !== turn.peek()) return;
      people.value = cursor === null ? answer.data : [...people.peek(), ...answer.data];
      next.value = answer.next;
      error.value = null;
    } catch (problem) {
      if (mine === turn.peek()) error.value = problem;
    } finally {
      if (mine === turn.peek()) loading.value = false;
    }
  }

  useEffect(() => {
    const soon = setTimeout(() => void load(null), search ? TYPING_MS : 0);
    // Somebody who has gone on to further pages is not thrown back to the first.
    const timer = setInterval(() => {
      if (people.peek().length <= PAGE && !document.hidden) void load(null);
    }, AGAIN_MS);
    return () => {
      clearTimeout(soon);
      clearInterval(timer);
      turn.value++;
    };
  }, [space, search]);
  return { people, next, loading, error, more: () => load(next.peek()), again: () => load(null) };
}
