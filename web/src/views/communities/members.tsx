import { api, ok, type Schema } from "@/api/client";
import { t } from "@/i18n";
import { usePaged } from "@/parts/paged";
import { PagedList } from "@/parts/paged-list";
import { PersonRow } from "@/parts/people";
import { account as session } from "@/state/session";
import { Menu } from "@/ui/menu";
import { Empty } from "@/ui/states";
import { toast } from "@/ui/toast";

type Role = Schema<"CommunityRole">;

/** The roles that somebody may give to somebody: admins every one, moderators take members in and put them out. */
export function mayGive(mine: Role, theirs: Role): Role[] {
  if (mine === "admin") return (["admin", "moderator", "member", "none"] as const).filter((one) => one !== theirs);
  if (mine === "moderator" && theirs === "member") return ["none"];
  return [];
}

/** Who is in a community, with what they are; admins and moderators change that. */
export function CommunityMembers({
  community,
  role,
  onChanged,
}: {
  community: string;
  role: Role;
  onChanged: () => unknown;
}) {
  const members = usePaged(
    (cursor) =>
      ok(api.GET("/api/v1/communities/{community}/members", { params: { path: { community }, query: { cursor } } })),
    (one) => one.account,
    [community, role],
  );
  const give = async (account: string, to: Role) => {
    await ok(
      api.PUT("/api/v1/communities/{community}/members/{account}", {
        params: { path: { community, account } },
        body: { role: to },
      }),
    );
    toast(t("home.saved"));
    await members.again();
    await onChanged();
  };
  return (
    <PagedList
      of={members}
      id={(one) => one.account}
      look="rows"
      label={t("home.membersTab")}
      empty={<Empty title={t("common.nothing")} />}
      render={(one) => (
        <PersonRow id={one.account} badge={one.role === "member" ? null : t(`home.role_${one.role}`)}>
          {session.value?.id !== one.account && (
            <Menu
              label={t("common.more")}
              items={mayGive(role, one.role).map((to) => ({
                label: t(`home.make_${to}`),
                danger: to === "none",
                onChoose: () => give(one.account, to),
              }))}
            />
          )}
        </PersonRow>
      )}
    />
  );
}
