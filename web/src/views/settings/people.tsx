import { api, ok } from "@/api/client";
import { t } from "@/i18n";
import { usePaged } from "@/parts/paged";
import { PagedList } from "@/parts/paged-list";
import { PersonRow } from "@/parts/people";
import { learn } from "@/state/profiles";
import { relate } from "@/state/relations";
import { Button } from "@/ui/button";
import { Section } from "./section";

/** Whom one blocked or muted. */
export default function PeopleSettings() {
  return (
    <>
      <List what="blocking" path="/api/v1/me/blocks" />
      <List what="muting" path="/api/v1/me/mutes" />
    </>
  );
}

function List({ what, path }: { what: "blocking" | "muting"; path: "/api/v1/me/blocks" | "/api/v1/me/mutes" }) {
  const people = usePaged(
    async (cursor) => {
      const page = await ok(api.GET(path, { params: { query: { limit: 50, cursor } } }));
      learn(...page.data);
      return page;
    },
    (one) => one.id,
    [path],
  );
  const free = async (id: string) => {
    await relate(id, what, false);
    people.items.value = people.items.value?.filter((one) => one.id !== id);
  };
  return (
    <Section title={t(`settings.${what}`)} lead={t(`settings.${what}Lead`)}>
      <PagedList
        of={people}
        id={(one) => one.id}
        label={t(`settings.${what}`)}
        look="rows"
        empty={<p class="soft">{t("settings.nobody")}</p>}
        render={(one) => (
          <PersonRow id={one.id}>
            <Button small onClick={() => free(one.id)}>
              {t(what === "blocking" ? "settings.unblock" : "settings.unmute")}
            </Button>
          </PersonRow>
        )}
      />
    </Section>
  );
}
