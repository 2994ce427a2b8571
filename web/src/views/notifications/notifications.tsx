import { CheckCheck } from "lucide";
import { useLocation } from "preact-iso";
import { api, ok } from "@/api/client";
import { t } from "@/i18n";
import { PageHead } from "@/parts/page-head";
import { usePaged } from "@/parts/paged";
import { PagedList } from "@/parts/paged-list";
import { refreshUnread, unread } from "@/state/unread";
import { Button } from "@/ui/button";
import { Empty } from "@/ui/states";
import { Tabs } from "@/ui/tabs";
import { Messages } from "./messages";
import { Notice } from "./notice";

/** `/notifications?show=messages`. */
export default function Notifications() {
  const { query, route } = useLocation();
  const chosen = query.show === "messages" ? "messages" : "all";
  return (
    <>
      <PageHead title={t("told.title")} />
      <Tabs
        label={t("told.view")}
        tabs={[
          ["all", t("told.all")],
          ["messages", t("told.messages")],
        ]}
        chosen={chosen}
        onChoose={(tab) => route(tab === "messages" ? "/notifications?show=messages" : "/notifications", true)}
      >
        {chosen === "all" ? <Notices /> : <Messages />}
      </Tabs>
    </>
  );
}

function Notices() {
  const told = usePaged(
    (cursor) => ok(api.GET("/api/v1/me/notifications", { params: { query: { limit: 30, cursor } } })),
    (one) => one.id,
    // What is new is shown as soon as the badge counts it.
    [unread.value > 0],
  );
  const read = async (body: { ids: string[]; up_to: string | null }) => {
    await ok(api.POST("/api/v1/me/notifications/read", { body }));
    const at = new Date().toISOString();
    told.items.value = told.items.value?.map((one) =>
      body.up_to !== null || body.ids.includes(one.id) ? { ...one, read: one.read ?? at } : one,
    );
    await refreshUnread();
  };
  const newest = told.items.value?.[0];
  return (
    <>
      {newest && told.items.value?.some((one) => one.read === null) && (
        <p>
          <Button small icon={CheckCheck} onClick={() => read({ ids: [], up_to: newest.id })}>
            {t("told.allRead")}
          </Button>
        </p>
      )}
      <PagedList
        of={told}
        id={(one) => one.id}
        label={t("told.all")}
        look="rows"
        empty={<Empty title={t("told.none")} />}
        render={(one) => <Notice told={one} onOpen={() => void read({ ids: [one.id], up_to: null }).catch(() => {})} />}
      />
    </>
  );
}
