// Reactions of everybody, rising over the room: few one by one, many with a number.

import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { compact } from "@/i18n";
import styles from "./reaction-rain.module.css";
import { bubbles, reactionOf, since } from "./reactions";
import { useRoom } from "./room-context";

interface Bubble {
  id: number;
  kind: string;
  times: number;
  /** Where it rises and when it begins, so that no two go the same way. */
  x: number;
  lateMs: number;
  own: boolean;
}

const LIFE_MS = 2_600;
const MOST = 40;
const shown = signal<Bubble[]>([]);
const own = new Map<string, number>();
let next = 0;

/** Lets `count` reactions rise. Own ones are not shown again when the server counts them. */
export function rise(kind: string, count: number, mine = false): void {
  if (mine) own.set(kind, (own.get(kind) ?? 0) + count);
  const made = bubbles(count).map(({ times }, index) => {
    const id = next++;
    // A golden-ratio walk: spread without looking drawn by a ruler.
    return { id, kind, times, own: mine, x: ((id * 61.8) % 100) / 100, lateMs: index * 90 };
  });
  shown.value = [...shown.value, ...made].slice(-MOST);
  const gone = new Set(made.map(({ id }) => id));
  setTimeout(() => {
    shown.value = shown.value.filter(({ id }) => !gone.has(id));
  }, LIFE_MS + 600);
}

export function ReactionRain() {
  const { session } = useRoom();
  useEffect(() => {
    own.clear();
    return session.feed.listen((event, before, after) => {
      if (event.event !== "counts") return;
      for (const [kind, count] of since(before.reactionTotals, after.reactionTotals)) {
        const ours = Math.min(count, own.get(kind) ?? 0);
        if (ours > 0) own.set(kind, (own.get(kind) ?? 0) - ours);
        if (count > ours) rise(kind, count - ours);
      }
    });
  }, [session]);
  return (
    <div class={styles.rain} aria-hidden="true">
      {shown.value.map(({ id, kind, times, x, lateMs, own: mine }) => (
        <span
          key={id}
          class={styles.bubble}
          data-own={mine || undefined}
          data-kind={kind}
          style={{ "--x": String(x), animationDelay: `${lateMs}ms` }}
        >
          {reactionOf(kind) ? <img src={reactionOf(kind)?.picture} alt="" width={36} height={36} /> : kind}
          {times > 1 && <b>×{compact(times)}</b>}
        </span>
      ))}
    </div>
  );
}
