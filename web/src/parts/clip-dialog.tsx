import { useSignal } from "@preact/signals";
import { useEffect, useId } from "preact/hooks";
import { api, ok } from "@/api/client";
import { clock, t } from "@/i18n";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { explain } from "@/ui/errors";
import { kept, TextArea } from "@/ui/field";
import { toast } from "@/ui/toast";
import styles from "./clip-dialog.module.css";
import { share } from "./share";

interface Props {
  space: string;
  title: string;
  open: boolean;
  onClose: () => void;
  /** The clip's end in ms since the Space's start, at the moment the dialog was opened. */
  endMs: number;
  /** The longest clip, in ms. */
  longestMs?: number;
  /** A clip was made: its number. */
  onMade?: (clip: number) => void;
}

const SHORTEST_MS = 5_000;
const COMMENT = 280;

/** Makes a clip of what was heard up to a moment: how long, how it sounds, what to say with it. */
export function ClipDialog({ space, title, open, onClose, endMs, longestMs = 30_000, onMade }: Props) {
  const most = Math.max(1_000, Math.min(longestMs, endMs));
  const length = useSignal(most);
  const comment = useSignal("");
  const trouble = useSignal<string | null>(null);
  const made = useSignal<number | null>(null);
  const slider = useId();
  const close = () => {
    made.value = null;
    trouble.value = null;
    comment.value = "";
    onClose();
  };
  const make = async () => {
    trouble.value = null;
    try {
      const { number } = await ok(
        api.POST("/api/v1/spaces/{space}/clips", {
          params: { path: { space } },
          body: { end_ms: endMs, length_ms: length.value, comment: comment.value },
        }),
      );
      if (number === null) return;
      made.value = number;
      onMade?.(number);
      toast(t("replay.clipMade"));
    } catch (error) {
      trouble.value = explain(error);
    }
  };
  const preview = useSignal<string | null>(null);
  const asked = open && made.value === null;
  useEffect(() => {
    if (!asked) return;
    // As a whole, so that one can go back and forth in it: what is made for the moment is answered without ranges.
    let url: string | null = null;
    let gone = false;
    const query = { end_ms: endMs, length_ms: length.value };
    ok(api.GET("/api/v1/spaces/{space}/clips/preview", { params: { path: { space }, query }, parseAs: "blob" })).then(
      (sound) => {
        if (gone) return;
        url = URL.createObjectURL(sound as unknown as Blob);
        preview.value = url;
      },
      (error) => {
        if (!gone) trouble.value = explain(error);
      },
    );
    return () => {
      gone = true;
      preview.value = null;
      if (url) URL.revokeObjectURL(url);
    };
  }, [asked, space, endMs, length.value]);
  return (
    <Dialog
      title={t("replay.makeClip")}
      open={open}
      onClose={close}
      actions={
        made.value === null ? (
          <>
            <Button onClick={close}>{t("common.cancel")}</Button>
            <Button kind="primary" onClick={make}>
              {t("replay.saveClip")}
            </Button>
          </>
        ) : (
          <>
            <a href={`/s/${space}/clips/${made.value}`}>{t("replay.openClip")}</a>
            <Button kind="primary" onClick={() => share(`/s/${space}/clips/${made.value}`, comment.value || title)}>
              {t("replay.share")}
            </Button>
          </>
        )
      }
    >
      {made.value === null ? (
        <>
          <div class={styles.length}>
            <label for={slider}>{t("replay.clipLength")}</label>
            <output for={slider}>{t("replay.clipSeconds", { count: Math.round(length.value / 1_000) })}</output>
            <input
              id={slider}
              type="range"
              min={Math.min(SHORTEST_MS, most)}
              max={most}
              step={1_000}
              value={length.value}
              aria-valuetext={t("replay.clipSeconds", { count: Math.round(length.value / 1_000) })}
              onChange={(event) => {
                length.value = Number(event.currentTarget.value);
              }}
            />
            <p class="soft">
              {t("replay.clipSpan", { from: clock((endMs - length.value) / 1_000), to: clock(endMs / 1_000) })}
            </p>
          </div>
          {/* biome-ignore lint/a11y/useMediaCaption: it is what was just heard; captions of clips do not exist */}
          <audio
            class={styles.preview}
            controls
            preload="auto"
            src={preview.value ?? undefined}
            aria-label={t("replay.clipPreview")}
          />
          <TextArea
            label={t("replay.clipComment")}
            hint={`${comment.value.length}/${COMMENT}`}
            error={trouble.value}
            maxLength={COMMENT}
            {...kept(comment)}
          />
        </>
      ) : (
        <p role="status">{t("replay.clipMade")}</p>
      )}
    </Dialog>
  );
}
