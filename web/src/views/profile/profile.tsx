import { useLocation } from "preact-iso";
import { api, ok } from "@/api/client";
import { t } from "@/i18n";
import { nameOf } from "@/parts/people";
import { Refused } from "@/parts/refused";
import { learn } from "@/state/profiles";
import { Empty, Loading } from "@/ui/states";
import { Tabs } from "@/ui/tabs";
import { useLoaded } from "@/ui/use-loaded";
import { AccountPosts } from "../posts/account-posts";
import { ProfileHead } from "./profile-head";
import { ProfileSpaces } from "./profile-spaces";

const TABS = ["spaces", "recorded", "posts"] as const;
type Tab = (typeof TABS)[number];

/** `/@handle`: who somebody is, where they are now, their Spaces and posts. */
export default function Profile({ handle }: { handle: string }) {
  if (!handle.startsWith("@")) return <Empty title={t("common.notFound")} page />;
  return <OfHandle handle={handle.slice(1)} />;
}

function OfHandle({ handle }: { handle: string }) {
  const { query, route } = useLocation();
  const found = useLoaded(async () => {
    const answer = await ok(api.GET("/api/v1/accounts/by-handle/{handle}", { params: { path: { handle } } }));
    learn(answer);
    document.title = `${nameOf(answer)} (@${answer.handle}) · ${t("common.appName")}`;
    return answer;
  }, [handle]);
  if (found.error.value) return <Refused page error={found.error.value} onRetry={found.again} />;
  const one = found.value.value;
  if (!one) return <Loading />;
  const tab: Tab = TABS.find((known) => known === query.tab) ?? "spaces";
  const choose = (next: Tab) => route(next === "spaces" ? `/@${handle}` : `/@${handle}?tab=${next}`, true);
  return (
    <>
      <ProfileHead of={one} onChanged={found.again} />
      <Tabs
        label={t("home.profileTabs")}
        chosen={tab}
        onChoose={choose}
        tabs={TABS.map((one) => [one, t(`home.profile_${one}`)] as const)}
      >
        {tab === "posts" ? (
          <AccountPosts key={one.id} account={one.id} />
        ) : (
          <ProfileSpaces key={one.id} account={one.id} recorded={tab === "recorded"} />
        )}
      </Tabs>
    </>
  );
}
