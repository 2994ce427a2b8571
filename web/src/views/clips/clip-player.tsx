import { useSignal } from "@preact/signals";
import { Flag, Share2, Trash2 } from "lucide";
import { api, ok, type Schema } from "@/api/client";
import { clock, relative, t } from "@/i18n";
import { ReportDialog, type Reported } from "@/parts/report-dialog";
import { share } from "@/parts/share";
import { account } from "@/state/session";
import { Avatar } from "@/ui/avatar";
import { Menu } from "@/ui/menu";
import { toast } from "@/ui/toast";
import styles from "./clips.module.css";

type Clip = Schema<"ClipView">;

/** One clip: its sound over its waveform, who made it of what, and what may be done with it. */
export function ClipPlayer({ clip, onGone }: { clip: Clip; onGone: () => unknown }) {
  const reported = useSignal<Reported | null>(null);
  const name = clip.author?.name || clip.author?.handle || t("replay.somebody");
  const path = { space: clip.space, clip: clip.clip };
  const remove = async () => {
    if (!confirm(t("replay.deleteClipSure"))) return;
    await ok(api.DELETE("/api/v1/spaces/{space}/clips/{clip}", { params: { path } }));
    toast(t("replay.clipDeleted"));
    await onGone();
  };
  const files = clip.files;
  const sources = [
    [files["audio.opus"], "audio/ogg; codecs=opus"],
    [files["audio.m4a"], "audio/mp4; codecs=mp4a.40.2"],
  ] as const;
  return (
    <article class={`card ${styles.clip}`} aria-label={t("replay.clipBy", { name })}>
      <header class="row">
        <Avatar of={clip.author ?? null} />
        <div class="grow">
          <p class="ellipsis">{clip.author ? <a href={`/@${clip.author.handle}`}>{name}</a> : name}</p>
          <p class="soft">
            {relative(clip.created)} · {t("replay.clipAt", { at: clock(clip.start_ms / 1_000) })}
          </p>
        </div>
        <Menu
          label={t("common.more")}
          items={[
            { label: t("replay.share"), icon: Share2, onChoose: () => share(clip.url, clip.comment) },
            account.value && {
              label: t("people.reportClip"),
              icon: Flag,
              onChoose: () => {
                reported.value = { kind: "clip", ...path };
              },
            },
            account.value?.id === clip.author?.id && {
              label: t("replay.deleteClip"),
              icon: Trash2,
              danger: true,
              onChoose: remove,
            },
          ]}
        />
      </header>
      {clip.comment && <p>{clip.comment}</p>}
      {clip.status === "ready" ? (
        <>
          {files["waveform.png"] && (
            <img class={styles.picture} src={files["waveform.png"]} alt="" width={1200} height={630} loading="lazy" />
          )}
          {/* biome-ignore lint/a11y/useMediaCaption: captions of clips do not exist */}
          <audio controls preload="none" aria-label={t("replay.clipBy", { name })}>
            {sources.map(([src, type]) => src && <source key={type} src={src} type={type} />)}
          </audio>
        </>
      ) : (
        <p class="soft" role="status">
          {t(clip.status === "failed" ? "replay.clipFailed" : "replay.clipMaking")}
        </p>
      )}
      <ReportDialog
        of={reported.value}
        onClose={() => {
          reported.value = null;
        }}
      />
    </article>
  );
}
