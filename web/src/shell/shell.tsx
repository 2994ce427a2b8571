import { Bell, House, Search, Settings, User } from "lucide";
import type { ComponentChildren } from "preact";
import { useLocation } from "preact-iso";
import { t } from "@/i18n";
import { account } from "@/state/session";
import { Icon } from "@/ui/icon";
import styles from "./shell.module.css";

/** Navigation (at the side, on a phone below) and the place of the view. */
export function Shell({ offline, children }: { offline: boolean; children: ComponentChildren }) {
  const { path } = useLocation();
  const me = account.value;
  const entries = [
    { href: "/", icon: House, label: t("common.home") },
    { href: "/search", icon: Search, label: t("common.search") },
    ...(me
      ? [
          { href: "/notifications", icon: Bell, label: t("common.notifications") },
          { href: `/@${me.handle}`, icon: User, label: t("common.profile") },
          { href: "/settings", icon: Settings, label: t("common.settings") },
        ]
      : [{ href: "/sign-in", icon: User, label: t("common.signIn") }]),
  ];
  return (
    <div class={styles.shell}>
      <a class={styles.skip} href="#content">
        {t("common.skip")}
      </a>
      <nav class={styles.nav} aria-label={t("common.appName")}>
        <a class={styles.brand} href="/">
          <img src="/icon.svg" alt="" width={32} height={32} />
          <span>{t("common.appName")}</span>
        </a>
        <ul>
          {entries.map(({ href, icon, label }) => (
            <li key={href}>
              <a href={href} aria-current={path === href ? "page" : undefined}>
                <Icon of={icon} size={22} />
                <span>{label}</span>
              </a>
            </li>
          ))}
        </ul>
      </nav>
      <main id="content" class={styles.content} tabIndex={-1}>
        {offline && (
          <p class={styles.offline} role="status">
            {t("common.offline")}
          </p>
        )}
        {children}
      </main>
    </div>
  );
}
