import type { Schema } from "@/api/client";
import { api, ok } from "@/api/client";
import { clock, compact, relative, t } from "@/i18n";
import { profile } from "@/state/profiles";
import { Avatar } from "@/ui/avatar";
import { useLoaded } from "@/ui/use-loaded";
import styles from "./replay.module.css";

const WHY: Record<string, "gone" | "withheld" | "expired"> = {
  "replay.deleted": "gone",
  "replay.withheld": "withheld",
  "replay.expired": "expired",
};

/** A Space that is over and has no replay, or not yet: who hosted it, how long it lasted, how many came. */
export function Ended({ space, lacking }: { space: Schema<"SpaceView">; lacking: string | null }) {
  const { value: came } = useLoaded(
    () => ok(api.GET("/api/v1/spaces/{space}/attendance", { params: { path: { space: space.id } } })),
    [space.id],
  );
  const host = profile(space.creator).value;
  const seconds = space.started && space.ended ? (Date.parse(space.ended) - Date.parse(space.started)) / 1_000 : null;
  const reason =
    space.replay.status === "processing" ? "making" : (WHY[lacking ?? ""] ?? (space.record ? "gone" : "notRecorded"));
  return (
    <article class={`card ${styles.ended}`}>
      <Avatar of={host} size={72} />
      <h1>{space.title || t("replay.ended")}</h1>
      <p class="soft">{t("replay.ended")}</p>
      {space.ended && <p class="soft">{t("replay.endedAt", { when: relative(space.ended) })}</p>}
      <dl class={styles.figures}>
        {seconds !== null && (
          <div>
            <dt>{t("replay.length")}</dt>
            <dd>{clock(seconds)}</dd>
          </div>
        )}
        {came.value && (
          <div>
            <dt>{t("replay.most")}</dt>
            <dd>{compact(came.value.peak)}</dd>
          </div>
        )}
      </dl>
      <p role="status">{t(`replay.${reason}`)}</p>
      {space.clips && <a href={`/s/${space.id}/clips`}>{t("replay.clipsOf")}</a>}
    </article>
  );
}
