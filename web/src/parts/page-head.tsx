import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import { t } from "@/i18n";
import styles from "./page-head.module.css";

/** A view's heading, which names the page too, and what can be done there. */
export function PageHead({ title, lead, children }: { title: string; lead?: string; children?: ComponentChildren }) {
  useEffect(() => {
    document.title = `${title} · ${t("common.appName")}`;
  }, [title]);
  return (
    <header class={styles.head}>
      <div class={styles.text}>
        <h1>{title}</h1>
        {lead && <p class="soft">{lead}</p>}
      </div>
      {children && <div class={styles.actions}>{children}</div>}
    </header>
  );
}
