import { ApiError, api, ok, type Schema } from "@/api/client";
import { type Key, t } from "@/i18n";
import { DateTime } from "@/parts/date-time";
import { usePaged } from "@/parts/paged";
import { PagedList } from "@/parts/paged-list";
import { PersonLink } from "@/parts/people";
import { SpaceTitle } from "@/parts/space-title";
import { explain } from "@/ui/errors";
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

const DONE = new Set(["done", "logged"]);

/** What the trail calls by a name of its own, in words; a refusal's code as what it means. */
function words(kind: "did" | "outcome", name: string): string {
  const key = `admin.${kind}_${name}` as Key;
  const text = t(key);
  return text === key ? explain(new ApiError(name, 0, name.replaceAll("_", " "))) : text;
}

function Line({ of }: { of: Action }) {
  return (
    <div class={styles.trail}>
      <p>
        <strong>{words("did", of.action)}</strong>
        {!DONE.has(of.outcome) && <span class={styles.tag}>{words("outcome", of.outcome)}</span>}
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
            <a href={`/s/${of.space}`}>
              <SpaceTitle id={of.space} />
            </a>
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
