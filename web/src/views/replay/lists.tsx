// What stands beside the player: who speaks, chapters, captions. All follow the position, and lead to theirs.
import { useEffect, useRef } from "preact/hooks";
import type { Schema } from "@/api/client";
import { clock, t } from "@/i18n";
import { profile } from "@/state/profiles";
import { Avatar } from "@/ui/avatar";
import type { Playback } from "./playback";
import styles from "./replay.module.css";

type Turns = Schema<"TurnsView">;
type Chapter = Schema<"ChapterView">;

/** Whether one of `spans` ([from, to] in ms) holds `seconds`. */
export function talksAt(spans: readonly (readonly number[])[], seconds: number): boolean {
  const ms = seconds * 1_000;
  return spans.some(([from = 0, to = 0]) => ms >= from && ms < to);
}

/** Everybody who spoke, with a line of when. */
export function Speakers({
  people,
  playback,
  seconds,
}: {
  people: readonly Turns[];
  playback: Playback;
  seconds: number;
}) {
  const at = playback.at.value;
  return (
    <ul class={styles.speakers}>
      {people.map((one) => {
        const talking = talksAt(one.spans as number[][], at);
        const name = one.name ?? t("replay.somebody");
        return (
          <li key={one.account} data-talking={talking}>
            <Avatar of={profile(one.account).value} size={44} />
            <div class="grow">
              <a class="ellipsis" href={one.handle ? `/@${one.handle}` : undefined}>
                {name}
              </a>
              {talking && <span class="visually-hidden">{t("replay.talks", { name })}</span>}
              <svg
                class={styles.turns}
                viewBox={`0 0 ${Math.max(1, seconds * 1_000)} 1`}
                preserveAspectRatio="none"
                aria-hidden="true"
              >
                {(one.spans as number[][]).map(([from = 0, to = 0]) => (
                  <rect key={from} x={from} width={Math.max(0, to - from)} height={1} />
                ))}
              </svg>
            </div>
          </li>
        );
      })}
    </ul>
  );
}

/** The chapter that plays at `seconds`. */
export function chapterAt<T extends { at_ms: number }>(chapters: readonly T[], seconds: number): T | undefined {
  return chapters.filter((chapter) => chapter.at_ms <= seconds * 1_000).at(-1);
}

export function chapterText({ kind, text }: Pick<Chapter, "kind" | "text">): string {
  const name = text || t("replay.somebody");
  if (kind === "speaker") return t("replay.chapterSpeaker", { name });
  if (kind === "poll") return t("replay.chapterPoll", { text });
  if (kind === "post") return t("replay.chapterPost", { name });
  return text;
}

export function Chapters({ chapters, playback }: { chapters: readonly Chapter[]; playback: Playback }) {
  const now = chapterAt(chapters, playback.at.value);
  return (
    <ol class={styles.lines}>
      {chapters.map((chapter) => (
        <li key={`${chapter.at_ms}-${chapter.kind}-${chapter.text}`}>
          <button
            type="button"
            aria-current={chapter === now ? "true" : undefined}
            onClick={() => playback.seek(chapter.at_ms / 1_000)}
          >
            <time>{clock(chapter.at_ms / 1_000)}</time>
            <span>{chapterText(chapter)}</span>
          </button>
        </li>
      ))}
    </ol>
  );
}

export function Captions({ playback }: { playback: Playback }) {
  const cues = playback.cues.value;
  const at = playback.at.value;
  const now = cues.findLast((cue) => cue.from <= at);
  const current = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (playback.playing.peek()) current.current?.scrollIntoView({ block: "nearest" });
  }, [now]);
  if (cues.length === 0) return <p class="soft">{t("replay.noCaptions")}</p>;
  return (
    <ol class={styles.lines}>
      {cues.map((cue) => (
        <li key={`${cue.from}-${cue.text}`}>
          <button
            type="button"
            ref={cue === now ? current : undefined}
            aria-current={cue === now ? "true" : undefined}
            onClick={() => playback.seek(cue.from)}
          >
            <time>{clock(cue.from)}</time>
            <span>
              {cue.who && <strong>{cue.who}: </strong>}
              {cue.text}
            </span>
          </button>
        </li>
      ))}
    </ol>
  );
}
