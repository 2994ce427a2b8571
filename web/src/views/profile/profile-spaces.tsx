import { api, ok, type Schema } from "@/api/client";
import { t } from "@/i18n";
import { Refused } from "@/parts/refused";
import { SpaceCard, type SpaceLine } from "@/parts/space-card";
import { usePolling } from "@/parts/use-polling";
import { account as session } from "@/state/session";
import { LinkButton } from "@/ui/link-button";
import { Empty, Loading } from "@/ui/states";
import { useLoaded } from "@/ui/use-loaded";
import styles from "./profile.module.css";

const EVERY_MS = 20_000;

/** Where somebody is now, what they host and will host; or their recordings. */
export function ProfileSpaces({ account, recorded }: { account: string; recorded: boolean }) {
  const mine = session.value?.id === account;
  const spaces = useLoaded(
    () => ok(api.GET("/api/v1/accounts/{account}/spaces", { params: { path: { account } } })),
    [account],
  );
  usePolling(spaces.again, EVERY_MS);
  const found = spaces.value.value;
  if (!found) return spaces.error.value ? <Refused error={spaces.error.value} onRetry={spaces.again} /> : <Loading />;
  if (recorded) {
    if (found.recorded.length > 0) return <Cards title={null} spaces={found.recorded} />;
    return <Empty title={t(mine ? "home.youNoneRecorded" : "home.noneRecorded")} />;
  }
  const [present, how] = elsewhere(found, account);
  if (found.live.length + found.scheduled.length + present.length === 0) {
    return (
      <Empty title={t(mine ? "home.youNoneHosted" : "home.noneHosted")}>
        {mine && (
          <LinkButton kind="primary" href="/create">
            {t("common.createSpace")}
          </LinkButton>
        )}
      </Empty>
    );
  }
  return (
    <div class="stack">
      <Cards title={t("home.hostsNow")} spaces={found.live} />
      <Cards title={t(how)} spaces={present} />
      <Cards title={t("home.tab_upcoming")} spaces={found.scheduled} />
    </div>
  );
}

/** Where they are but do not host, and what they do there. */
function elsewhere(
  found: Schema<"AccountSpacesView">,
  account: string,
): [SpaceLine[], "home.speaksNow" | "home.listensNow"] {
  const there = found.now.filter((line) => !line.hosting.includes(account));
  const speaks = there.some((line) => line.speaking.includes(account));
  return [there.map((line) => line.space), speaks ? "home.speaksNow" : "home.listensNow"];
}

function Cards({ title, spaces }: { title: string | null; spaces: readonly SpaceLine[] }) {
  if (spaces.length === 0) return null;
  return (
    <section aria-label={title ?? t("home.profile_recorded")}>
      {title && <h2 class={styles.section}>{title}</h2>}
      <ul class={styles.cards}>
        {spaces.map((space) => (
          <li key={space.id}>
            <SpaceCard space={space} level={title ? 3 : 2} />
          </li>
        ))}
      </ul>
    </section>
  );
}
