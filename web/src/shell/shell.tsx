import { Bell, CirclePlus, House, LogIn, Search, Settings, User } from "lucide";
import type { ComponentChildren } from "preact";
import { useLocation } from "preact-iso";
import { number, t } from "@/i18n";
import { account } from "@/state/session";
import { unread } from "@/state/unread";
import { Icon } from "@/ui/icon";
import { AccountMenu } from "./account-menu";
import { TitleSpoken } from "./announce";
import { MiniPlayer } from "./mini-player";
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
          { href: "/create", icon: CirclePlus, label: t("common.createSpace"), short: t("common.createShort") },
          { href: "/notifications", icon: Bell, label: t("common.notifications"), count: unread.value },
          { href: `/@${me.handle}`, icon: User, label: t("common.profile") },
        ]
      : [
          { href: "/settings/appearance", icon: Settings, label: t("common.settings") },
          { href: "/sign-in", icon: LogIn, label: t("common.signIn") },
        ]),
  ];
  return (
    <div class={styles.shell}>
      <a class={styles.skip} href="#content">
        {t("common.skip")}
      </a>
      <header class={styles.top}>
        <Brand />
        {me && <AccountMenu me={me} />}
      </header>
      <nav class={styles.nav} aria-label={t("common.navigation")}>
        <Brand />
        <ul>
          {entries.map(({ href, icon, label, short, count }: Entry) => (
            <li key={href}>
              <a href={href} aria-current={path === href ? "page" : undefined}>
                <span class={styles.icon}>
                  <Icon of={icon} size={22} />
                  {count ? (
                    <span class={styles.badge} aria-hidden="true">
                      {count > 99 ? "99+" : number(count)}
                    </span>
                  ) : null}
                </span>
                <span class={short ? styles.long : undefined}>{label}</span>
                {count ? (
                  <span class="visually-hidden">{t("common.unread", { count: Math.min(count, 100) })}</span>
                ) : null}
                {short && <span class={styles.short}>{short}</span>}
              </a>
            </li>
          ))}
        </ul>
        {me && (
          <div class={styles.me}>
            <AccountMenu me={me} above wide />
          </div>
        )}
      </nav>
      <main id="content" class={styles.content} tabIndex={-1}>
        {offline && (
          <p class={styles.offline} role="status">
            {t("common.offline")}
          </p>
        )}
        {children}
      </main>
      <MiniPlayer />
      <TitleSpoken />
    </div>
  );
}

interface Entry {
  href: string;
  icon: typeof Bell;
  label: string;
  short?: string;
  count?: number;
}

const Brand = () => (
  <a class={styles.brand} href="/">
    <img src="/icon.svg" alt="" width={32} height={32} />
    <span>{t("common.appName")}</span>
  </a>
);
