import { Flag } from "lucide";
import { useLocation } from "preact-iso";
import { api, ok, type Schema } from "@/api/client";
import { t } from "@/i18n";
import { DateTime } from "@/parts/date-time";
import { usePaged } from "@/parts/paged";
import { PagedList } from "@/parts/paged-list";
import { PersonLink } from "@/parts/people";
import { SpaceTitle } from "@/parts/space-title";
import { usePolling } from "@/parts/use-polling";
import { account } from "@/state/session";
import { Icon } from "@/ui/icon";
import { Empty } from "@/ui/states";
import { Tabs } from "@/ui/tabs";
import styles from "./moderation.module.css";

const STATES = ["open", "claimed", "resolved"] as const;
const EVERY_MS = 20_000;
type Case = Schema<"CaseView">;

/** The queue: what was reported, the oldest first. */
export function Cases() {
  const { query, route } = useLocation();
  const state = STATES.find((one) => one === query.state) ?? "open";
  return (
    <Tabs
      label={t("admin.part_cases")}
      chosen={state}
      onChoose={(next) => route(next === "open" ? "/moderation" : `/moderation?state=${next}`, true)}
      tabs={STATES.map((one) => [one, t(`admin.state_${one}`)] as const)}
    >
      <Queue key={state} state={state} />
    </Tabs>
  );
}

function Queue({ state }: { state: (typeof STATES)[number] }) {
  const cases = usePaged(
    (cursor) => ok(api.GET("/api/v1/moderation/cases", { params: { query: { state, cursor } } })),
    (one: Case) => one.id,
    [state],
  );
  usePolling(cases.again, EVERY_MS);
  return (
    <PagedList
      of={cases}
      id={(one) => one.id}
      label={t(`admin.state_${state}`)}
      render={(one) => <Line of={one} />}
      empty={<Empty title={t(state === "open" ? "admin.queueEmpty" : "common.nothing")} />}
    />
  );
}

function Line({ of }: { of: Case }) {
  const mine = of.moderator !== null && of.moderator === account.value?.id;
  return (
    <article class={styles.case}>
      <Icon of={Flag} size={20} />
      <div class="grow">
        <h2 class={styles.caseTitle}>
          <a href={`/moderation/cases/${of.id}`}>{t(`admin.kind_${of.kind as "space" | "account" | "clip"}`)}</a>
          {of.kind === "account" && <PersonLink id={of.subject} />}
        </h2>
        <p class={styles.caseSpace}>
          <SpaceTitle id={of.space} />
        </p>
        <p class="soft">
          {t("admin.reporters", { count: of.reporters })} · {t("admin.latest")} <DateTime at={of.latest} from="now" />
        </p>
      </div>
      <p class={styles.caseState}>
        {of.state === "claimed" && (mine ? t("admin.yours") : of.moderator && <PersonLink id={of.moderator} />)}
        {of.state === "resolved" && t(`admin.outcome_${of.outcome as "dismissed" | "upheld"}`)}
      </p>
    </article>
  );
}
