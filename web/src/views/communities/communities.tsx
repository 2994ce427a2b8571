import { useSignal } from "@preact/signals";
import { Plus, Users } from "lucide";
import { useLocation } from "preact-iso";
import { api, ok, type Schema } from "@/api/client";
import { t } from "@/i18n";
import { PageHead } from "@/parts/page-head";
import { usePaged } from "@/parts/paged";
import { PagedList } from "@/parts/paged-list";
import { account } from "@/state/session";
import { Button } from "@/ui/button";
import { Icon } from "@/ui/icon";
import { Empty } from "@/ui/states";
import { useLoaded } from "@/ui/use-loaded";
import styles from "./communities.module.css";
import { CommunityDialog } from "./community-dialog";

type View = Schema<"CommunityView">;

/** One's own communities, then all. */
export default function Communities() {
  const { route } = useLocation();
  const me = account.value;
  const making = useSignal(false);
  const mine = useLoaded(async () => (me ? (await ok(api.GET("/api/v1/me/communities"))).data : []), [me?.id]);
  const all = usePaged(
    (cursor) => ok(api.GET("/api/v1/communities", { params: { query: { cursor, limit: 24 } } })),
    (one: View) => one.id,
    [],
  );
  const own = mine.value.value ?? [];
  return (
    <>
      <PageHead title={t("home.communities")} lead={t("home.communitiesLead")}>
        {me && (
          <Button
            icon={Plus}
            onClick={() => {
              making.value = true;
            }}
          >
            {t("home.newCommunity")}
          </Button>
        )}
      </PageHead>
      {own.length > 0 && (
        <section class={styles.section} aria-labelledby="own">
          <h2 id="own">{t("home.ownCommunities")}</h2>
          <ul class={styles.grid}>
            {own.map(({ community, role }) => (
              <li key={community.id}>
                <Card of={community} role={t(`home.role_${role}`)} />
              </li>
            ))}
          </ul>
        </section>
      )}
      <section aria-labelledby="all">
        <h2 id="all" class={styles.title}>
          {t("home.allCommunities")}
        </h2>
        <PagedList
          of={all}
          id={(one) => one.id}
          look="cards"
          label={t("home.allCommunities")}
          render={(one) => <Card of={one} />}
          empty={<Empty title={t("home.noCommunities")} />}
        />
      </section>
      <CommunityDialog open={making} onSaved={(made) => route(`/communities/${made.id}`)} />
    </>
  );
}

function Card({ of, role }: { of: View; role?: string }) {
  return (
    <a class={styles.card} href={`/communities/${of.id}`}>
      <span class={styles.name}>
        {of.name}
        {role && <span class={styles.badge}>{role}</span>}
      </span>
      <span class="soft">{of.description || `@${of.handle}`}</span>
      <span class={styles.members}>
        <Icon of={Users} size={16} />
        {t("home.members", { count: of.members })}
      </span>
    </a>
  );
}
