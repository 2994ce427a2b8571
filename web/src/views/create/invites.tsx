import { X } from "lucide";
import { api, ok } from "@/api/client";
import { t } from "@/i18n";
import { usePaged } from "@/parts/paged";
import { PagedList } from "@/parts/paged-list";
import { PersonRow } from "@/parts/people";
import { learn } from "@/state/profiles";
import { Button } from "@/ui/button";
import { toast } from "@/ui/toast";
import { type Invited, InviteLine, invite } from "./people-picker";

/** Who is invited to a Space that is there: more of them, or fewer. */
export function Invites({ space, live }: { space: string; live: boolean }) {
  const waiting = usePaged(
    async (cursor) => {
      const page = await ok(
        api.GET("/api/v1/spaces/{space}/invites", { params: { path: { space }, query: { cursor } } }),
      );
      learn(...page.data.map((one) => one.profile));
      return page;
    },
    (one) => one.profile.id,
    [space],
  );
  const add = async (invited: Invited) => {
    await invite(space, invited);
    toast(t("home.invited"));
    await waiting.again();
  };
  const drop = async (account: string) => {
    await ok(api.DELETE("/api/v1/spaces/{space}/invites/{account}", { params: { path: { space, account } } }));
    await waiting.again();
  };
  return (
    <section class="card stack" aria-labelledby="invites">
      <h2 id="invites">{t("home.invites")}</h2>
      <InviteLine live={live} onAdd={add} />
      <PagedList
        of={waiting}
        id={(one) => one.profile.id}
        look="rows"
        label={t("home.invites")}
        empty={<p class="soft">{t("home.nobodyInvited")}</p>}
        render={(one) => (
          <PersonRow
            id={one.profile.id}
            badge={t(one.role === "cohost" ? "home.invite_cohost" : "home.invite_speaker")}
          >
            <Button kind="quiet" icon={X} label={t("home.inviteDrop")} onClick={() => drop(one.profile.id)} />
          </PersonRow>
        )}
      />
    </section>
  );
}
