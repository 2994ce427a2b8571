import { t } from "@/i18n";
import { Dialog } from "@/ui/dialog";
import { Bars } from "./bars";
import styles from "./quality-dialog.module.css";
import { useRoom } from "./room-context";

/** How well the sound comes, in figures, and by which way. */
export default function QualityDialog() {
  const { session, open } = useRoom();
  const audio = session.audio.value;
  const quality = audio?.quality.value;
  const path = audio?.path.value;
  const joined = audio?.joinedInMs.value;
  const ms = (value: number) => t("room.ms", { count: Math.round(value) });
  const percent = (value: number) =>
    t("room.percent", { value: (value * 100).toLocaleString(undefined, { maximumFractionDigits: 1 }) });
  const rows: [string, string][] = [];
  if (quality) {
    rows.push(
      [t("room.qDelay"), ms(quality.delayMs)],
      [t("room.qBuffer"), t("room.qBufferOf", { now: ms(quality.bufferMs), target: ms(quality.targetMs) })],
      [t("room.qLost"), percent(quality.lost)],
      [t("room.qConcealed"), percent(quality.concealed)],
    );
  }
  if (audio && path !== "hls") rows.push([t("live.tier"), t(`live.tier_${audio.tier.value}`)]);
  if (joined !== null && joined !== undefined) rows.push([t("room.qJoined"), ms(joined)]);
  return (
    <Dialog
      title={t("room.connection")}
      open
      onClose={() => {
        open.value = null;
      }}
    >
      <p class={styles.verdict}>
        <Bars of={quality?.bars ?? 0} />
        <strong>{quality ? t(`room.quality_${quality.bars}`) : t("room.qualityUnknown")}</strong>
      </p>
      {path && <p>{t(`room.path_${path}`)}</p>}
      <dl class={styles.figures}>
        {rows.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      <p class="soft">{t("room.qExplained")}</p>
    </Dialog>
  );
}
