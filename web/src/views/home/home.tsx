import { Plus, Users } from "lucide";
import { useLocation } from "preact-iso";
import { t } from "@/i18n";
import { PageHead } from "@/parts/page-head";
import { account } from "@/state/session";
import { LinkButton } from "@/ui/link-button";
import { Tabs } from "@/ui/tabs";
import { Feed, type FeedTab } from "./feed";
import { LiveBar } from "./live-bar";
import { TopicList } from "./topic-list";
import { Welcome } from "./welcome";

const TABS = ["live", "upcoming", "trending", "topics"] as const;
type Tab = (typeof TABS)[number];

/** What goes on now, what will, and what about. The tab is in the address. */
export default function Home() {
  const { query, route } = useLocation();
  const tab: Tab = TABS.find((one) => one === query.tab) ?? "live";
  const choose = (next: Tab) => route(next === "live" ? "/" : `/?tab=${next}`, true);
  const me = account.value;
  return (
    <>
      <PageHead title={t("common.home")}>
        <LinkButton kind="quiet" icon={Users} label={t("home.communities")} href="/communities" />
        {me && (
          <LinkButton kind="primary" icon={Plus} href="/create">
            {t("common.createSpace")}
          </LinkButton>
        )}
      </PageHead>
      {me === null && <Welcome />}
      {me && <LiveBar />}
      <Tabs
        label={t("home.tabs")}
        chosen={tab}
        onChoose={choose}
        tabs={TABS.map((one) => [one, t(`home.tab_${one}`)] as const)}
      >
        {tab === "topics" ? <TopicList /> : <Feed key={tab} tab={tab as FeedTab} />}
      </Tabs>
    </>
  );
}
