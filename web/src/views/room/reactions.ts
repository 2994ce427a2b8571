// The reactions that there are, and how what the server counts becomes what rises on the screen. Pure but for the
// pictures, which are files of ours so that they look the same everywhere.

import type { Key } from "@/i18n";
import hundred from "./reactions/100.svg?url";
import fist from "./reactions/fist.svg?url";
import joy from "./reactions/joy.svg?url";
import peace from "./reactions/peace.svg?url";
import wave from "./reactions/wave.svg?url";

export interface Reaction {
  kind: string;
  picture: string;
  name: Key;
}

export const REACTIONS: readonly Reaction[] = [
  { kind: "joy", picture: joy, name: "room.reactionJoy" },
  { kind: "100", picture: hundred, name: "room.reaction100" },
  { kind: "fist", picture: fist, name: "room.reactionFist" },
  { kind: "peace", picture: peace, name: "room.reactionPeace" },
  { kind: "wave", picture: wave, name: "room.reactionWave" },
];

export const reactionOf = (kind: string) => REACTIONS.find((one) => one.kind === kind);

type Totals = Readonly<Record<string, number>>;

/** What came since: kinds and how many. Nothing before the first message, whose totals are of old. */
export function since(before: Totals | null, after: Totals | null): [kind: string, count: number][] {
  if (!before || !after) return [];
  return Object.entries(after)
    .map(([kind, total]): [string, number] => [kind, total - (before[kind] ?? 0)])
    .filter(([, count]) => count > 0);
}

/** Bubbles of one kind that rise one by one at most; more of them are told as a number. */
export const MOST_BUBBLES = 6;

/** `count` reactions as bubbles: so many alone, the last with the number of those that have none of their own. */
export function bubbles(count: number): { times: number }[] {
  if (count <= MOST_BUBBLES) return Array.from({ length: Math.max(0, count) }, () => ({ times: 1 }));
  const alone = MOST_BUBBLES - 1;
  return [...Array.from({ length: alone }, () => ({ times: 1 })), { times: count - alone }];
}
