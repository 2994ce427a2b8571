import { Pause, Play, RotateCcw, RotateCw } from "lucide";
import { clock, t } from "@/i18n";
import { Button } from "@/ui/button";
import { Icon } from "@/ui/icon";
import type { Playback } from "./playback";
import styles from "./replay.module.css";
import { type Peaks, Waveform } from "./waveform";

const SKIP = 15;
const RATES = [0.5, 0.75, 1, 1.25, 1.5, 1.75, 2];

/** Play, position over the waveform, skip, speed. */
export function Player({
  playback,
  peaks,
  seconds,
}: {
  playback: Playback;
  peaks: Peaks | undefined;
  seconds: number;
}) {
  const at = playback.at.value;
  const playing = playback.playing.value;
  return (
    <section class={styles.player} aria-label={t("replay.replay")}>
      <div class={styles.wave}>
        {peaks && <Waveform peaks={peaks} seconds={seconds} at={at} />}
        <input
          type="range"
          min={0}
          max={Math.max(1, Math.floor(seconds))}
          step={1}
          value={Math.floor(at)}
          aria-label={t("replay.position")}
          aria-valuetext={t("replay.positionOf", { at: clock(at), length: clock(seconds) })}
          onInput={(event) => playback.seek(Number(event.currentTarget.value))}
        />
      </div>
      <div class="spread">
        <span class={styles.time}>{clock(at)}</span>
        <span class={styles.time}>{clock(seconds)}</span>
      </div>
      <div class={styles.buttons}>
        <label class={styles.speed}>
          <span class="visually-hidden">{t("replay.speed")}</span>
          <select
            value={String(playback.rate.value)}
            onChange={(event) => playback.setRate(Number(event.currentTarget.value))}
          >
            {RATES.map((rate) => (
              <option key={rate} value={String(rate)}>
                {rate}×
              </option>
            ))}
          </select>
        </label>
        <Button
          kind="quiet"
          icon={RotateCcw}
          label={t("replay.back", { count: SKIP })}
          onClick={() => playback.seek(at - SKIP)}
        />
        <button
          type="button"
          class={styles.play}
          aria-label={t(playing ? "replay.pause" : "replay.play")}
          onClick={() => playback.toggle()}
        >
          <Icon of={playing ? Pause : Play} size={30} />
        </button>
        <Button
          kind="quiet"
          icon={RotateCw}
          label={t("replay.on", { count: SKIP })}
          onClick={() => playback.seek(at + SKIP)}
        />
      </div>
    </section>
  );
}
