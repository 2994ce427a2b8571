// The Space whose sound plays, whichever view is shown: the frame shows a small player for it.
import { signal } from "@preact/signals";

export interface Playing {
  /** The Space's id: `/s/<space>` is its view. */
  space: string;
  title: string;
  /** Live, or a replay. */
  live: boolean;
  /** Stops the sound and leaves. */
  leave: () => void;
}

/** Null if nothing plays. */
export const playing = signal<Playing | null>(null);
