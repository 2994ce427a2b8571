import { useEffect, useRef } from "preact/hooks";
import { t } from "@/i18n";
import type { CaptionLine } from "@/live/live-audio";
import { profile } from "@/state/profiles";
import { onStage } from "@/state/space";
import { Button } from "@/ui/button";
import { Empty } from "@/ui/states";
import styles from "./captions.module.css";
import { consent } from "./consent";
import { useRoom } from "./room-context";

/** Turns live text on and off as the switch says. */
export function useCaptions(): readonly CaptionLine[] {
  const { session, captions } = useRoom();
  const audio = session.audio.value;
  const on = captions.value && session.state.value?.captions === true;
  useEffect(() => {
    audio?.captions(on);
  }, [audio, on]);
  return on ? (audio?.lines.value ?? []) : [];
}

const SHOWN = 2;

/** The last lines, over the bar. Not read out: who listens to a screen reader hears the speakers. */
export function CaptionStrip({ lines }: { lines: readonly CaptionLine[] }) {
  const { captions } = useRoom();
  if (!captions.value) return null;
  return (
    <div class={styles.strip} aria-hidden="true">
      {lines.length === 0 ? (
        <p class={styles.waiting}>{t("room.captionsWaiting")}</p>
      ) : (
        lines.slice(-SHOWN).map((line) => <Line key={line.line} line={line} />)
      )}
    </div>
  );
}

/** All lines that came, newest last; scrolls along unless somebody reads further up. */
export function CaptionsPanel({ lines }: { lines: readonly CaptionLine[] }) {
  const { session, captions } = useRoom();
  const end = useRef<HTMLDivElement>(null);
  const list = useRef<HTMLDivElement>(null);
  const state = session.state.value;
  useEffect(() => {
    const scroller = list.current?.closest("[data-scroller]");
    if (scroller && scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 120) {
      end.current?.scrollIntoView({ block: "nearest" });
    }
  }, [lines]);
  if (!state) return null;
  const speaking = onStage(state.you.role);
  return (
    <div class={styles.panel} ref={list}>
      {speaking && state.captions && (
        <div class={styles.consent}>
          <p class="grow">{t(state.you.consented ? "room.consented" : "room.notConsented")}</p>
          <Button small onClick={() => consent(state.id, !state.you.consented)}>
            {t(state.you.consented ? "room.withdrawConsent" : "room.giveConsent")}
          </Button>
        </div>
      )}
      {!state.captions ? (
        <Empty title={t("room.captionsOff")} />
      ) : !captions.value ? (
        <Empty title={t("room.captionsHint")}>
          <Button
            kind="primary"
            onClick={() => {
              captions.value = true;
            }}
          >
            {t("room.captionsShow")}
          </Button>
        </Empty>
      ) : lines.length === 0 ? (
        <Empty title={t("room.captionsWaiting")} />
      ) : (
        lines.map((line) => <Line key={line.line} line={line} />)
      )}
      <div ref={end} />
    </div>
  );
}

function Line({ line }: { line: CaptionLine }) {
  const who = profile(line.account).value;
  return (
    <p class={styles.line} data-open={!line.final || undefined}>
      <strong>{who?.name ?? "…"}</strong> {line.text || t("room.captionGap")}
    </p>
  );
}
