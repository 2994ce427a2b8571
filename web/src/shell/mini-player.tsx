// The Space that one is in, while one looks at something else.
import { LogOut } from "lucide";
import { useLocation } from "preact-iso";
import { t } from "@/i18n";
import { playing } from "@/state/playing";
import { Button } from "@/ui/button";
import styles from "./mini-player.module.css";

export function MiniPlayer() {
  const { path } = useLocation();
  const now = playing.value;
  if (!now || path === `/s/${now.space}` || path === `/s/${now.space}/replay`) return null;
  return (
    <section class={styles.player} aria-label={t("common.nowPlaying")}>
      <span class={styles.bars} aria-hidden="true">
        <i />
        <i />
        <i />
      </span>
      <a class={styles.title} href={`/s/${now.space}`}>
        <span class={styles.kind}>{t(now.live ? "common.live" : "common.replay")}</span>
        <span class="ellipsis">{now.title || t("common.untitled")}</span>
      </a>
      <Button kind="quiet" icon={LogOut} label={t("common.leave")} onClick={() => now.leave()} />
    </section>
  );
}
