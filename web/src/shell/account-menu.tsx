import { Download, LogOut, Monitor, Moon, Settings, Shield, Sun, Ticket, User, Users } from "lucide";
import { useLocation } from "preact-iso";
import { t } from "@/i18n";
import { install, installable } from "@/pwa/install";
import { type Account, signOut } from "@/state/session";
import { applyTheme, type Theme, theme } from "@/state/theme";
import { Avatar } from "@/ui/avatar";
import { Menu } from "@/ui/menu";

const NEXT_THEME: Record<Theme, { to: Theme; icon: typeof Sun }> = {
  system: { to: "light", icon: Sun },
  light: { to: "dark", icon: Moon },
  dark: { to: "system", icon: Monitor },
};

/** One's own picture, and behind it everything about oneself. */
export function AccountMenu({ me, above, wide }: { me: Account; above?: boolean; wide?: boolean }) {
  const { route } = useLocation();
  const { to, icon } = NEXT_THEME[theme.value];
  return (
    <Menu
      label={t("common.accountMenu", { name: me.name })}
      above={above}
      start={above}
      face={
        <>
          <Avatar of={me} size={32} />
          {wide && (
            <span class="ellipsis" title={`@${me.handle}`}>
              {me.name}
            </span>
          )}
        </>
      }
      items={[
        { label: t("common.profile"), icon: User, onChoose: () => route(`/@${me.handle}`) },
        { label: t("common.communities"), icon: Users, onChoose: () => route("/communities") },
        { label: t("common.orders"), icon: Ticket, onChoose: () => route("/orders") },
        me.moderator && { label: t("common.moderation"), icon: Shield, onChoose: () => route("/moderation") },
        { label: t("common.settings"), icon: Settings, onChoose: () => route("/settings") },
        { label: t(`common.theme_${to}`), icon, onChoose: () => applyTheme(to) },
        installable.value && { label: t("common.install"), icon: Download, onChoose: install },
        {
          label: t("common.signOut"),
          icon: LogOut,
          onChoose: async () => {
            await signOut();
            route("/");
          },
        },
      ]}
    />
  );
}
