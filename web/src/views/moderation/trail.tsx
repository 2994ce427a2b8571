import { api, ok, type Schema } from "@/api/client";
import { t } from "@/i18n";
import { DateTime } from "@/parts/date-time";
import { usePaged } from "@/parts/paged";
import { PagedList } from "@/parts/paged-list";
import { PersonLink } from "@/parts/people";
import { Empty } from "@/ui/states";
import styles from "./moderation.module.css";

type Action = Schema<"ActionView">;

/** Everything that moderators did, the latest first. */
export const Trail = () => <TrailOf />;

/** What was done about an account, or at all. */
export function TrailOf({ account }: { account?: string }) {
  const trail = usePaged(
    (cursor) => ok(api.GET("/api/v1/moderation/trail", { params: { query: { account, cursor } } })),
    (one: Action) => one.id,
    [account],
  );
  return (
    <PagedList
      of={trail}
      id={(one) => one.id}
      look="rows"
      label={t("admin.part_trail")}
      render={(one) => <Line of={one} />}
      empty={<Empty title={t("common.nothing")} />}
    />
  );
}

function Line({ of }: { of: Action }) {
  return (
    <div class={styles.trail}>
      <p>
        <strong>{of.action.replaceAll("_", " ")}</strong>
        <span class={styles.tag}>{of.outcome}</span>
      </p>
      <p class="soft">
        <DateTime at={of.at} /> · {of.moderator ? <PersonLink id={of.moderator} /> : t("admin.operator")}
        {of.account && (
          <>
            {" · "}
            <PersonLink id={of.account} />
          </>
        )}
        {of.space && (
          <>
            {" · "}
            <a href={`/s/${of.space}`}>{t("home.aSpace")}</a>
          </>
        )}
        {of.case && (
          <>
            {" · "}
            <a href={`/moderation/cases/${of.case}`}>{t("admin.case")}</a>
          </>
        )}
      </p>
      {of.why && <p>{of.why}</p>}
    </div>
  );
}
