// Lists that come page by page: what is there, how to get more, and how the beginning is made new.
import { type Signal, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

export interface Page<T> {
  data: T[];
  next: string | null;
}

export interface Paged<T> {
  /** Undefined until the first page came. */
  items: Signal<T[] | undefined>;
  error: Signal<unknown>;
  hasMore: Signal<boolean>;
  /** The next page. Its refusal is in `error`; what is shown stays. */
  more: () => Promise<void>;
  /** The first page anew. */
  again: () => Promise<void>;
}

/**
 * What is shown when the first page came anew: it replaces what the first page had, what was loaded behind it stays
 * (but for what moved to the front).
 */
export function refreshed<T>(shown: T[], firstPage: number, fresh: T[], id: (item: T) => string): T[] {
  const there = new Set(fresh.map(id));
  return [...fresh, ...shown.slice(firstPage).filter((item) => !there.has(id(item)))];
}

/** A page that follows; what is shown already (the list moved meanwhile) is not shown twice. */
export function followed<T>(shown: T[], page: T[], id: (item: T) => string): T[] {
  const there = new Set(shown.map(id));
  return [...shown, ...page.filter((item) => !there.has(id(item)))];
}

/** Loads the first page at the start and whenever `inputs` change. `id` names an item. */
export function usePaged<T>(
  load: (cursor: string | undefined) => Promise<Page<T>>,
  id: (item: T) => string,
  inputs: readonly unknown[],
): Paged<T> {
  const items = useSignal<T[] | undefined>(undefined);
  const error = useSignal<unknown>(null);
  const hasMore = useSignal(false);
  // `turn` tells answers of old inputs from those of the present ones.
  const place = useRef({ turn: 0, next: null as string | null, firstPage: 0, pages: 0 });
  const now = place.current;

  const take = async (cursor: string | undefined, put: (page: Page<T>) => void) => {
    const mine = now.turn;
    try {
      const page = await load(cursor);
      if (mine !== now.turn) return;
      put(page);
      error.value = null;
      hasMore.value = now.next !== null;
    } catch (problem) {
      if (mine === now.turn) error.value = problem;
    }
  };
  const again = () =>
    take(undefined, (page) => {
      const shown = now.pages > 1 ? (items.value ?? []) : [];
      items.value = refreshed(shown, now.firstPage, page.data, id);
      if (now.pages <= 1) now.next = page.next;
      now.pages = Math.max(1, now.pages);
      now.firstPage = page.data.length;
    });
  const more = async () => {
    const cursor = now.next;
    if (cursor === null) return;
    await take(cursor, (page) => {
      items.value = followed(items.value ?? [], page.data, id);
      now.next = page.next;
      now.pages++;
    });
  };
  useEffect(() => {
    now.turn++;
    now.next = null;
    now.pages = 0;
    now.firstPage = 0;
    items.value = undefined;
    error.value = null;
    hasMore.value = false;
    void again();
    return () => {
      now.turn++;
    };
  }, inputs);
  return { items, error, hasMore, more, again };
}
