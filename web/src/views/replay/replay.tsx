// A Space that is over: its replay, or why there is none.
import { useSignal } from "@preact/signals";
import { Scissors, Share2 } from "lucide";
import { useEffect } from "preact/hooks";
import { lazy } from "preact-iso";
import { ApiError, api, ok, type Schema } from "@/api/client";
import { clock, dateTime, t } from "@/i18n";
import { ClipDialog } from "@/parts/clip-dialog";
import { share } from "@/parts/share";
import { signedIn } from "@/state/session";
import { Button } from "@/ui/button";
import { Failed, Loading } from "@/ui/states";
import { Tabs } from "@/ui/tabs";
import { useLoaded } from "@/ui/use-loaded";
import { Ended } from "./ended";
import { Captions, Chapters, Speakers } from "./lists";
import { openPlayback, type Playback } from "./playback";
import { Player } from "./player";
import styles from "./replay.module.css";
import type { Peaks } from "./waveform";

const HostTools = lazy(() => import("./host-tools"));

interface Found {
  space: Schema<"SpaceView">;
  replay: Schema<"ReplayDetail"> | null;
  /** Why there is none: a code of the API's. */
  lacking: string | null;
}

async function find(space: string): Promise<Found> {
  const path = { params: { path: { space } } };
  const view = await ok(api.GET("/api/v1/spaces/{space}", path));
  try {
    return { space: view, replay: await ok(api.GET("/api/v1/spaces/{space}/replay", path)), lacking: null };
  } catch (error) {
    if (!(error instanceof ApiError) || error.status === 0 || error.status >= 500) throw error;
    return { space: view, replay: null, lacking: error.code };
  }
}

/** `/s/:space/replay`, and `/s/:space` when it is over. */
export default function Replay({ space }: { space: string }) {
  const { value, error, again } = useLoaded(() => find(space), [space]);
  const found = value.value;
  const making = found?.replay === null && found.space.record && found.space.replay.status === "processing";
  useEffect(() => {
    if (!making) return;
    const timer = setInterval(again, 2_000);
    return () => clearInterval(timer);
  }, [making]);
  if (error.value) return <Failed error={error.value} onRetry={again} />;
  if (!found) return <Loading />;
  if (!found.replay) return <Ended space={found.space} lacking={found.lacking} />;
  return <Loaded key={`${found.replay.start_ms}`} view={found.space} replay={found.replay} onChanged={again} />;
}

/** Ogg Opus, else AAC, else HLS: browsers take the first that they can. */
function forms({ urls }: Schema<"ReplayDetail">): (readonly [string, string])[] {
  const all = [
    [urls.opus, "audio/ogg; codecs=opus"],
    [urls.m4a, "audio/mp4; codecs=mp4a.40.2"],
    [urls.hls, "application/vnd.apple.mpegurl"],
  ] as const;
  return all.filter((form): form is readonly [string, (typeof form)[1]] => form[0] !== null);
}

function Loaded({
  view,
  replay,
  onChanged,
}: {
  view: Schema<"SpaceView">;
  replay: Schema<"ReplayDetail">;
  onChanged: () => Promise<void>;
}) {
  const space = view.id;
  const seconds = replay.duration_ms / 1_000;
  const playback = useSignal<Playback | null>(null);
  const side = useSignal<"speakers" | "captions" | "chapters">("speakers");
  const clipEnd = useSignal<number | null>(null);
  const timeline = useLoaded(
    () => ok(api.GET("/api/v1/spaces/{space}/replay/timeline.json", { params: { path: { space } } })),
    [space],
  );
  const peaks = useLoaded(async () => (await (await fetch(replay.urls.peaks)).json()) as Peaks, [space]);
  const title = replay.title || t("replay.replay");
  useEffect(() => {
    const opened = openPlayback({ title, forms: forms(replay), captions: replay.urls.captions, seconds });
    playback.value = opened;
    let counted = false;
    const count = () => {
      if (counted) return;
      counted = true;
      // Not waited for: what counts is that it plays.
      ok(api.POST("/api/v1/spaces/{space}/replay/plays", { params: { path: { space } } })).catch(() => {});
    };
    opened.element.addEventListener("play", count);
    return () => {
      opened.element.removeEventListener("play", count);
      opened.close();
    };
  }, [space]);
  const now = playback.value;
  const host = view.you.role === "host" || view.you.role === "moderator";
  const turns = timeline.value.value as Schema<"TimelineView"> | undefined;
  return (
    <article class={styles.replay}>
      <header class={styles.head}>
        <div class="grow">
          <p class={styles.kind}>{t("replay.replay")}</p>
          <h1>{title}</h1>
          <p class="soft">
            {[
              dateTime(replay.started),
              replay.attendance > 0 && t("replay.came", { count: replay.attendance }),
              replay.plays > 0 && t("replay.plays", { count: replay.plays }),
            ]
              .filter(Boolean)
              .join(" · ")}
          </p>
          {view.description && <p>{view.description}</p>}
        </div>
        <div class="row">
          <Button icon={Share2} label={t("replay.share")} kind="quiet" onClick={() => share(`/s/${space}`, title)} />
          {host && now && <HostTools space={space} replay={replay} playback={now} onChanged={onChanged} />}
        </div>
      </header>
      {now?.broken.value && <p role="alert">{t("errors.replay.unplayable")}</p>}
      {now && <Player playback={now} peaks={peaks.value.value} seconds={seconds} />}
      <div class={styles.actions}>
        {signedIn.value && view.clips && now && (
          <Button
            icon={Scissors}
            onClick={() => {
              clipEnd.value = clipEndMs(view, replay, Math.max(now.at.peek(), Math.min(seconds, 5)));
            }}
          >
            {t("replay.makeClip")}
          </Button>
        )}
        <a href={`/s/${space}/clips`}>{t("replay.clips")}</a>
        {host && <a href={`/s/${space}/analytics`}>{t("replay.analytics")}</a>}
        <Downloads replay={replay} />
      </div>
      {turns?.gaps.map((gap) => (
        <p key={gap.from_ms} class="soft">
          {t("replay.gap", { from: clock(gap.from_ms / 1_000), to: clock(gap.to_ms / 1_000) })}
        </p>
      ))}
      {now && (
        <Tabs
          label={t("replay.replay")}
          tabs={[
            ["speakers", t("replay.speakers")],
            ["captions", t("replay.captions")],
            ["chapters", t("replay.chapters")],
          ]}
          chosen={side.value}
          onChoose={(tab) => {
            side.value = tab;
          }}
        >
          {side.value === "speakers" && <Speakers people={turns?.people ?? []} playback={now} seconds={seconds} />}
          {side.value === "captions" && <Captions playback={now} />}
          {side.value === "chapters" && <Chapters chapters={replay.chapters} playback={now} />}
        </Tabs>
      )}
      {clipEnd.value !== null && (
        <ClipDialog
          space={space}
          title={title}
          open
          endMs={clipEnd.value}
          onClose={() => {
            clipEnd.value = null;
          }}
        />
      )}
    </article>
  );
}

/** Where `seconds` of the replay are, in ms since the Space's start: what clips count from. */
export function clipEndMs(
  { started }: Pick<Schema<"SpaceView">, "started">,
  replay: Pick<Schema<"ReplayDetail">, "started">,
  seconds: number,
): number {
  const before = started ? Math.max(0, Date.parse(replay.started) - Date.parse(started)) : 0;
  return Math.round(before + seconds * 1_000);
}

function Downloads({ replay: { urls, space } }: { replay: Schema<"ReplayDetail"> }) {
  const files = [
    ["Opus", urls.opus, "opus"],
    ["AAC", urls.m4a, "m4a"],
    ["WebVTT", urls.captions, "vtt"],
  ] as const;
  return (
    <span class="row">
      <span class="soft">{t("replay.downloads")}</span>
      {files.map(
        ([name, href, ending]) =>
          href && (
            <a key={ending} href={href} download={`space-${space}.${ending}`}>
              {name}
            </a>
          ),
      )}
    </span>
  );
}
