import { api, ok } from "@/api/client";
import { t } from "@/i18n";
import { usePaged } from "@/parts/paged";
import { PagedList } from "@/parts/paged-list";
import { SpaceCard, type SpaceLine } from "@/parts/space-card";
import { usePolling } from "@/parts/use-polling";
import { account } from "@/state/session";
import { LinkButton } from "@/ui/link-button";
import { Empty } from "@/ui/states";

export type FeedTab = "live" | "upcoming" | "trending";
const EVERY_MS = 15_000;
const idOf = (space: SpaceLine) => space.id;

/** One tab's Spaces, kept up to date. */
export function Feed({ tab }: { tab: FeedTab }) {
  const me = account.value?.id;
  const spaces = usePaged((cursor) => ok(api.GET("/api/v1/discover", { params: { query: { tab, cursor } } })), idOf, [
    tab,
    me,
  ]);
  usePolling(spaces.again, EVERY_MS);
  return (
    <PagedList
      of={spaces}
      id={idOf}
      look="cards"
      label={t(`home.tab_${tab}`)}
      render={(space) => <SpaceCard space={space} />}
      empty={
        <Empty title={t(tab === "upcoming" ? "home.noneUpcoming" : "home.noneLive")}>
          <LinkButton kind="primary" href={me ? "/create" : "/sign-in?next=/create"}>
            {t(tab === "upcoming" ? "home.schedule" : "common.createSpace")}
          </LinkButton>
        </Empty>
      }
    />
  );
}
