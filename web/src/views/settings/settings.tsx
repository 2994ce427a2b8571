import { Ban, Bell, Code, Eye, KeyRound, Palette, User } from "lucide";
import { lazy, useRoute } from "preact-iso";
import { t } from "@/i18n";
import { PageHead } from "@/parts/page-head";
import { account } from "@/state/session";
import { Icon } from "@/ui/icon";
import { LinkButton } from "@/ui/link-button";
import { Empty, Loading } from "@/ui/states";
import styles from "./settings.module.css";

const PARTS = [
  ["profile", User, lazy(() => import("./profile"))],
  ["account", KeyRound, lazy(() => import("./login"))],
  ["privacy", Eye, lazy(() => import("./privacy"))],
  ["people", Ban, lazy(() => import("./people"))],
  ["notifications", Bell, lazy(() => import("./notifications"))],
  ["appearance", Palette, lazy(() => import("./appearance"))],
  ["developer", Code, lazy(() => import("./developer"))],
] as const;

/** `/settings/:part`. Guests may choose how the page looks. */
export default function Settings() {
  const { params } = useRoute();
  const me = account.value;
  const shown = PARTS.filter(([part]) => me || part === "appearance");
  const wanted = params.part ?? (me ? "profile" : "appearance");
  const found = shown.find(([part]) => part === wanted);
  const Part = found?.[2];
  return (
    <>
      <PageHead title={t("common.settings")} />
      <div class={styles.page}>
        <nav class={styles.parts} aria-label={t("common.settings")}>
          {shown.map(([part, icon]) => (
            <a key={part} href={`/settings/${part}`} aria-current={part === wanted ? "page" : undefined}>
              <Icon of={icon} />
              {t(`settings.${part}`)}
            </a>
          ))}
        </nav>
        <div class={styles.panel}>
          {Part ? (
            <Part />
          ) : me === undefined ? (
            <Loading />
          ) : me === null ? (
            <Empty title={t("settings.signInFirst")}>
              <LinkButton kind="primary" href={`/sign-in?next=/settings/${encodeURIComponent(wanted)}`}>
                {t("common.signIn")}
              </LinkButton>
            </Empty>
          ) : (
            <Empty title={t("common.notFound")} />
          )}
        </div>
      </div>
    </>
  );
}
