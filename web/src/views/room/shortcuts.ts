// Keys of the room. They act only where no text is written and nothing is open that has keys of its own.

import { useLayoutEffect } from "preact/hooks";
import type { Key } from "@/i18n";

export type Shortcut = "mic" | "hand" | "captions" | "people" | "help";

export const SHORTCUTS: readonly { key: string; does: Shortcut; text: Key }[] = [
  { key: "m", does: "mic", text: "room.keyMic" },
  { key: "r", does: "hand", text: "room.keyHand" },
  { key: "c", does: "captions", text: "room.keyCaptions" },
  { key: "p", does: "people", text: "room.keyPeople" },
  { key: "?", does: "help", text: "room.keyHelp" },
];

const WRITES = "input, textarea, select, [contenteditable=''], [contenteditable=true], [role=menu], [role=listbox]";

/** Which shortcut a key is, null if it is none here. */
export function shortcutOf(event: KeyboardEvent): Shortcut | null {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.defaultPrevented) return null;
  if (event.target instanceof Element && event.target.closest(WRITES)) return null;
  if (document.querySelector("dialog[open]")) return null;
  return SHORTCUTS.find(({ key }) => key === event.key.toLowerCase())?.does ?? null;
}

/** Does what a key asks for, from the moment the room is there: after the first paint a key would be lost that somebody
 * presses at once. `act` keeps its identity as long as it does the same.
 */
export function useShortcuts(act: (shortcut: Shortcut) => void): void {
  useLayoutEffect(() => {
    const keys = (event: KeyboardEvent) => {
      const shortcut = shortcutOf(event);
      if (!shortcut) return;
      event.preventDefault();
      act(shortcut);
    };
    document.addEventListener("keydown", keys);
    return () => document.removeEventListener("keydown", keys);
  }, [act]);
}
