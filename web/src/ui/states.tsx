// What is shown while something loads, when there is nothing, and when it failed.
import { RefreshCw } from "lucide";
import type { ComponentChildren } from "preact";
import { t } from "@/i18n";
import { Button } from "./button";
import { explain } from "./errors";
import styles from "./states.module.css";

/** With `page` it is all that the page has to say: its heading. */
export function Empty({ title, page, children }: { title: string; page?: boolean; children?: ComponentChildren }) {
  return (
    <div class={styles.state}>
      {page ? <h1 class={styles.title}>{title}</h1> : <p class={styles.title}>{title}</p>}
      {children}
    </div>
  );
}

export function Failed({ error, onRetry }: { error: unknown; onRetry?: () => unknown }) {
  return (
    <div class={styles.state} role="alert">
      <p class={styles.title}>{explain(error)}</p>
      {onRetry && (
        <Button icon={RefreshCw} onClick={onRetry}>
          {t("common.retry")}
        </Button>
      )}
    </div>
  );
}

export function Loading() {
  return (
    <div class={styles.state} role="status">
      <span class={styles.dots} aria-hidden="true" />
      <span class="visually-hidden">{t("common.loading")}</span>
    </div>
  );
}
