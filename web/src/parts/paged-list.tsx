import type { ComponentChildren } from "preact";
import { t } from "@/i18n";
import { Button } from "@/ui/button";
import { explain } from "@/ui/errors";
import { Loading } from "@/ui/states";
import type { Paged } from "./paged";
import styles from "./paged-list.module.css";
import { Refused } from "./refused";

interface Props<T> {
  of: Paged<T>;
  id: (item: T) => string;
  render: (item: T) => ComponentChildren;
  /** What is shown instead of nothing. */
  empty: ComponentChildren;
  /** The list's name for screen readers. */
  label: string;
  /** `cards`: side by side where there is room; `rows`: one below the other with lines between. */
  /** The order in which they are shown, if not the one in which they came. */
  order?: (items: readonly T[]) => readonly T[];
  look?: "cards" | "rows" | "stack";
}

/** A list that grows by a button. */
export function PagedList<T>({ of, id, render, empty, label, order, look = "stack" }: Props<T>) {
  const items = of.items.value;
  const error = of.error.value;
  if (items === undefined) return error ? <Refused error={error} onRetry={of.again} /> : <Loading />;
  if (items.length === 0 && !of.hasMore.value) return <>{empty}</>;
  return (
    <>
      <ul class={styles[look]} aria-label={label}>
        {(order ? order(items) : items).map((item) => (
          <li key={id(item)}>{render(item)}</li>
        ))}
      </ul>
      {error !== null && (
        <p class={styles.trouble} role="alert">
          {explain(error)}
        </p>
      )}
      {of.hasMore.value && (
        <div class={styles.more}>
          <Button onClick={of.more}>{t("common.loadMore")}</Button>
        </div>
      )}
    </>
  );
}
