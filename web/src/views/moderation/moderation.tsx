import type { ComponentChildren } from "preact";
import { t } from "@/i18n";
import { PageHead } from "@/parts/page-head";
import { SignInNeeded } from "@/parts/sign-in-needed";
import { account } from "@/state/session";
import { LinkButton } from "@/ui/link-button";
import { Empty, Loading } from "@/ui/states";
import { Appeals } from "./appeals";
import { Bans } from "./bans";
import { Cases } from "./cases";
import { Deletions } from "./deletions";
import styles from "./moderation.module.css";
import { Trail } from "./trail";

const PARTS = { cases: Cases, appeals: Appeals, bans: Bans, trail: Trail, deletions: Deletions } as const;
type Part = keyof typeof PARTS;

/** `/moderation/:part`: the moderators' console. */
export default function Moderation({ part = "cases" }: { part?: string }) {
  const known = Object.hasOwn(PARTS, part) ? (part as Part) : null;
  if (!known) return <Empty title={t("common.notFound")} page />;
  const View = PARTS[known];
  return (
    <Console part={known}>
      <View />
    </Console>
  );
}

/** On a phone not all parts have room beside each other. */
const intoView = (item: HTMLLIElement | null) => item?.scrollIntoView?.({ block: "nearest", inline: "nearest" });

/** The console's frame, for moderators and operators alone. */
export function Console({ part, children }: { part: Part; children: ComponentChildren }) {
  const me = account.value;
  if (me === undefined) return <Loading />;
  if (me === null) return <SignInNeeded title={t("admin.needsModerator")} />;
  if (!me.moderator && !me.operator) {
    return (
      <Empty title={t("admin.needsModerator")} page>
        <LinkButton href="/">{t("home.toHome")}</LinkButton>
      </Empty>
    );
  }
  return (
    <>
      <PageHead title={t("common.moderation")} />
      <nav aria-label={t("common.moderation")} class={styles.nav}>
        <ul>
          {(Object.keys(PARTS) as Part[]).map((one) => (
            <li key={one} ref={one === part ? intoView : undefined}>
              <a
                href={one === "cases" ? "/moderation" : `/moderation/${one}`}
                aria-current={one === part ? "page" : undefined}
              >
                {t(`admin.part_${one}`)}
              </a>
            </li>
          ))}
        </ul>
      </nav>
      {children}
    </>
  );
}
