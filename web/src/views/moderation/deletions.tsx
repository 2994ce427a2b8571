import { useSignal } from "@preact/signals";
import { api, ok, type Schema } from "@/api/client";
import { number, t } from "@/i18n";
import { DateTime } from "@/parts/date-time";
import { usePaged } from "@/parts/paged";
import { PagedList } from "@/parts/paged-list";
import { Select } from "@/ui/field";
import { Empty } from "@/ui/states";
import styles from "./moderation.module.css";

type Deletion = Schema<"DeletionView">;
const STATES = ["", "pending", "done", "withdrawn"] as const;

/** What was, or is to be, really deleted: which parts, why, and whether it is done. */
export function Deletions() {
  const state = useSignal<(typeof STATES)[number]>("");
  const deletions = usePaged(
    (cursor) =>
      ok(api.GET("/api/v1/moderation/deletions", { params: { query: { state: state.value || undefined, cursor } } })),
    (one: Deletion) => one.id,
    [state.value],
  );
  return (
    <div class="stack">
      <div class={styles.narrow}>
        <Select
          label={t("admin.state")}
          value={state.value}
          options={STATES.map((one) => [one, t(`admin.deletion_${one || "all"}`)])}
          onChange={(value) => {
            state.value = value;
          }}
        />
      </div>
      <PagedList
        of={deletions}
        id={(one) => one.id}
        look="rows"
        label={t("admin.part_deletions")}
        render={(one) => <Line of={one} />}
        empty={<Empty title={t("admin.nothingDeleted")} />}
      />
    </div>
  );
}

function Line({ of }: { of: Deletion }) {
  return (
    <div class={styles.trail}>
      <p>
        <strong>{of.what}</strong> {of.number !== null && `#${of.number} `}·{" "}
        <a href={`/s/${of.space}`}>{t("home.aSpace")}</a> · {of.why}
        <span class={styles.tag}>{t(`admin.deletion_${of.state}`)}</span>
      </p>
      <p class="soft">
        {t("admin.asked")} <DateTime at={of.asked} />
        {of.done && (
          <>
            {" · "}
            {t("admin.doneAt")} <DateTime at={of.done} />
          </>
        )}
        {" · "}
        {t("admin.objects", { count: of.objects, kilobytes: number(Math.round(of.bytes / 1_000)) })}
      </p>
      {of.error && <p class={styles.error}>{t("admin.triedInVain", { count: of.tries, error: of.error })}</p>}
    </div>
  );
}
