import { useSignal } from "@preact/signals";
import { api, ok, type Schema } from "@/api/client";
import { t } from "@/i18n";
import { DateTime } from "@/parts/date-time";
import { usePaged } from "@/parts/paged";
import { PagedList } from "@/parts/paged-list";
import { PersonRow } from "@/parts/people";
import { Button } from "@/ui/button";
import { Switch, TextArea } from "@/ui/field";
import { Empty } from "@/ui/states";
import { toast } from "@/ui/toast";
import styles from "./moderation.module.css";

type Appeal = Schema<"AppealView">;

/** What people say against a ban or a violation, the oldest first. */
export function Appeals() {
  const all = useSignal(false);
  const appeals = usePaged(
    (cursor) => ok(api.GET("/api/v1/moderation/appeals", { params: { query: { unresolved: !all.value, cursor } } })),
    (one: Appeal) => one.id,
    [all.value],
  );
  return (
    <div class="stack">
      <Switch
        label={t("admin.alsoResolved")}
        checked={all.value}
        onChange={(value) => {
          all.value = value;
        }}
      />
      <PagedList
        of={appeals}
        id={(one) => one.id}
        label={t("admin.part_appeals")}
        render={(one) => <OneAppeal of={one} onDone={appeals.again} />}
        empty={<Empty title={t("admin.noAppeals")} />}
      />
    </div>
  );
}

function OneAppeal({ of, onDone }: { of: Appeal; onDone: () => Promise<void> }) {
  const note = useSignal("");
  const resolve = async (grant: boolean) => {
    await ok(
      api.POST("/api/v1/moderation/appeals/{appeal}/resolve", {
        params: { path: { appeal: of.id } },
        body: { grant, note: note.value },
      }),
    );
    toast(t(grant ? "admin.granted" : "admin.refused"));
    await onDone();
  };
  return (
    <article class="card stack">
      <PersonRow id={of.account} badge={t(of.space ? "admin.againstViolation" : "admin.againstBan")} />
      <p class="soft">
        <DateTime at={of.filed} from="now" />
        {of.space && (
          <>
            {" · "}
            <a href={`/s/${of.space}`}>{t("home.aSpace")}</a>
          </>
        )}
      </p>
      <blockquote class={styles.quote}>{of.text}</blockquote>
      {of.resolved ? (
        <p>
          <strong>{t(of.granted ? "admin.granted" : "admin.refused")}</strong> · <DateTime at={of.resolved} />
        </p>
      ) : (
        <>
          <TextArea
            label={t("admin.note")}
            hint={t("admin.noteHint")}
            rows={2}
            maxLength={4000}
            value={note.value}
            onValue={(value) => {
              note.value = value;
            }}
          />
          <div class="row">
            <Button kind="primary" onClick={() => resolve(true)}>
              {t("admin.grant")}
            </Button>
            <Button onClick={() => resolve(false)}>{t("admin.refuse")}</Button>
          </div>
        </>
      )}
    </article>
  );
}
