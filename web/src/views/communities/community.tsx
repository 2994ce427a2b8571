import { useSignal } from "@preact/signals";
import { Pencil, Plus } from "lucide";
import { useLocation } from "preact-iso";
import { api, ok, type Schema } from "@/api/client";
import { t } from "@/i18n";
import { PageHead } from "@/parts/page-head";
import { usePaged } from "@/parts/paged";
import { PagedList } from "@/parts/paged-list";
import { Refused } from "@/parts/refused";
import { liveFirst, SpaceCard, type SpaceLine } from "@/parts/space-card";
import { usePolling } from "@/parts/use-polling";
import { account } from "@/state/session";
import { Button } from "@/ui/button";
import { LinkButton } from "@/ui/link-button";
import { Empty, Loading } from "@/ui/states";
import { Tabs } from "@/ui/tabs";
import { toast } from "@/ui/toast";
import { useLoaded } from "@/ui/use-loaded";
import styles from "./communities.module.css";
import { CommunityDialog } from "./community-dialog";
import { CommunityMembers } from "./members";

const EVERY_MS = 20_000;
type Role = Schema<"CommunityRole">;
const idOf = (space: SpaceLine) => space.id;

/** A community: its Spaces, who is in it, joining and leaving. */
export default function Community({ community }: { community: string }) {
  const { query, route } = useLocation();
  const me = account.value;
  const path = { params: { path: { community } } };
  const found = useLoaded(async () => {
    const [view, mine] = await Promise.all([
      ok(api.GET("/api/v1/communities/{community}", path)),
      me ? ok(api.GET("/api/v1/me/communities")) : null,
    ]);
    const role: Role = mine?.data.find((one) => one.community.id === community)?.role ?? "none";
    return { view, role };
  }, [community, me?.id]);
  const editing = useSignal(false);
  if (found.error.value) return <Refused page error={found.error.value} onRetry={found.again} />;
  if (!found.value.value) return <Loading />;
  const { view, role } = found.value.value;
  const tab = query.tab === "members" ? "members" : "spaces";
  const join = async () => {
    await ok(api.PUT("/api/v1/communities/{community}/membership", path));
    toast(t("home.joined", { name: view.name }));
    await found.again();
  };
  const leave = async () => {
    await ok(api.DELETE("/api/v1/communities/{community}/membership", path));
    toast(t("home.left", { name: view.name }));
    await found.again();
  };
  const creates = role === "admin" || role === "moderator";
  return (
    <>
      <PageHead title={view.name} lead={view.description}>
        {creates && (
          <LinkButton kind="primary" icon={Plus} href={`/create?community=${view.id}`}>
            {t("common.createSpace")}
          </LinkButton>
        )}
        {role === "admin" && (
          <Button
            icon={Pencil}
            label={t("home.editCommunity")}
            onClick={() => {
              editing.value = true;
            }}
          />
        )}
        {me && role === "none" && view.open && (
          <Button kind="primary" onClick={join}>
            {t("home.join")}
          </Button>
        )}
        {role !== "none" && <Button onClick={leave}>{t("home.leave")}</Button>}
      </PageHead>
      <p class={styles.facts}>
        <span>{t("home.members", { count: view.members })}</span>
        <span>{t(view.open ? "home.isOpen" : "home.isClosed")}</span>
        {role !== "none" && <span class={styles.badge}>{t(`home.role_${role}`)}</span>}
      </p>
      <Tabs
        label={view.name}
        chosen={tab}
        onChoose={(next) => route(`/communities/${community}${next === "members" ? "?tab=members" : ""}`, true)}
        tabs={[
          ["spaces", t("home.profile_spaces")],
          ["members", t("home.membersTab")],
        ]}
      >
        {tab === "members" ? (
          <CommunityMembers community={community} role={role} onChanged={found.again} />
        ) : (
          <CommunitySpaces community={community} creates={creates} />
        )}
      </Tabs>
      {role === "admin" && <CommunityDialog key={view.name} open={editing} of={view} onSaved={found.again} />}
    </>
  );
}

function CommunitySpaces({ community, creates }: { community: string; creates: boolean }) {
  const spaces = usePaged(
    (cursor) =>
      ok(api.GET("/api/v1/communities/{community}/spaces", { params: { path: { community }, query: { cursor } } })),
    idOf,
    [community],
  );
  usePolling(spaces.again, EVERY_MS);
  return (
    <PagedList
      of={spaces}
      id={idOf}
      look="cards"
      order={liveFirst}
      label={t("home.profile_spaces")}
      render={(space) => <SpaceCard space={space} />}
      empty={
        <Empty title={t("home.noneInCommunity")}>
          {creates && (
            <LinkButton kind="primary" href={`/create?community=${community}`}>
              {t("common.createSpace")}
            </LinkButton>
          )}
        </Empty>
      }
    />
  );
}
