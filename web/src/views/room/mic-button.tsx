import { useComputed, useSignalEffect } from "@preact/signals";
import { Mic, MicOff } from "lucide";
import { useRef } from "preact/hooks";
import { t } from "@/i18n";
import { profile } from "@/state/profiles";
import { hosts } from "@/state/space";
import { Button } from "@/ui/button";
import styles from "./bar.module.css";
import { toggleMic } from "./consent";
import { glow } from "./level";
import { useRoom } from "./room-context";

/** The own microphone: on, off, closed by whom; its level; and the hint when one talks into a closed one. */
export function MicButton() {
  const room = useRoom();
  const { session } = room;
  const meter = useRef<HTMLSpanElement>(null);
  const microphone = useComputed(() => session.audio.value?.microphone.value ?? null);
  const onAir = session.onAir.value;
  const state = session.state.value;
  const seat = session.seat.value;
  useSignalEffect(() => {
    meter.current?.style.setProperty("--level", glow(microphone.value?.level ?? 127).toFixed(2));
  });
  if (!state || !seat) return null;
  const closed = !state.mic_open && !hosts(state.you.role);
  const mutedBy = seat.muted && seat.muted_by ? profile(seat.muted_by).value?.name : null;
  const hint = hintOf();
  return (
    <div class={styles.mic}>
      <Button
        kind={onAir ? "primary" : "plain"}
        icon={onAir ? Mic : MicOff}
        aria-pressed={onAir}
        aria-label={t("room.microphone")}
        aria-describedby="mic-hint"
        disabled={closed && !onAir}
        onClick={() => toggleMic(room)}
      >
        <span>{onAir ? t("room.mute") : t("room.unmute")}</span>
        <span class={styles.meter} ref={meter} aria-hidden="true" hidden={microphone.value?.state !== "on"} />
      </Button>
      <span id="mic-hint" class={styles.hint} data-warn={hint.warn || undefined} role="status">
        {hint.text}
      </span>
    </div>
  );

  function hintOf(): { text: string; warn?: boolean } {
    const mic = microphone.value;
    if (closed) return { text: t("room.micClosed") };
    if (mic?.state === "asking") return { text: t("room.micAsking") };
    if (mic?.state === "refused") return { text: mic.trouble ?? t("room.micRefused"), warn: true };
    if (!onAir && mic?.talkingWhileMuted) return { text: t("room.talkingWhileMuted"), warn: true };
    if (onAir) return { text: t("room.onAir") };
    if (mutedBy) return { text: t("room.mutedBy", { name: mutedBy }) };
    return { text: t("room.micOff") };
  }
}
