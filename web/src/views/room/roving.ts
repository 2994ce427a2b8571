// One stop of the Tab key for a group; arrow keys move inside (ARIA: roving tabindex). What has the focus keeps it while
// the group changes around it.

import { useSignal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";

export interface Roving {
  tabIndex: (key: string) => number;
  onFocus: (key: string) => void;
  onKeyDown: (event: KeyboardEvent) => void;
}

/** For elements with `data-key`, in the order of `keys`. */
export function useRoving(keys: readonly string[]): Roving {
  const chosen = useSignal<string | null>(null);
  const group = useRef<HTMLElement | null>(null);
  const known = keys.includes(chosen.value ?? "") ? chosen.value : (keys[0] ?? null);
  // Whoever had the focus is gone: it goes to a neighbour, not to the top of the page.
  const had = useRef<string | null>(null);
  useLayoutEffect(() => {
    if (had.current && !keys.includes(had.current) && document.activeElement === document.body) {
      group.current?.querySelector<HTMLElement>("[data-key]")?.focus();
    }
  });
  return {
    tabIndex: (key) => (key === known ? 0 : -1),
    onFocus(key) {
      chosen.value = key;
      had.current = key;
      group.current = document.activeElement?.closest<HTMLElement>("ul") ?? null;
    },
    onKeyDown(event) {
      const list = event.currentTarget as HTMLElement;
      const all = [...list.querySelectorAll<HTMLElement>("[data-key]")];
      const at = all.indexOf(document.activeElement as HTMLElement);
      if (at < 0) return;
      const to = next(event.key, at, all);
      if (to === null) return;
      all[to]?.focus();
      event.preventDefault();
    },
  };
}

function next(key: string, at: number, all: readonly HTMLElement[]): number | null {
  const last = all.length - 1;
  switch (key) {
    case "ArrowRight":
      return Math.min(last, at + 1);
    case "ArrowLeft":
      return Math.max(0, at - 1);
    case "ArrowDown":
      return Math.min(last, at + columns(all));
    case "ArrowUp":
      return Math.max(0, at - columns(all));
    case "Home":
      return 0;
    case "End":
      return last;
    default:
      return null;
  }
}

/** How many stand in the first row. */
function columns(all: readonly HTMLElement[]): number {
  const top = all[0]?.getBoundingClientRect().top;
  const found = all.findIndex((one) => one.getBoundingClientRect().top !== top);
  return found < 1 ? Math.max(1, all.length) : found;
}
