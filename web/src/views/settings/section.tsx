import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";
import styles from "./settings.module.css";

/** A card of settings that belong together. */
export function Section({ title, lead, children }: { title: string; lead?: string; children: ComponentChildren }) {
  const id = useId();
  return (
    <section class={`card ${styles.section}`} aria-labelledby={id}>
      <div>
        <h2 id={id}>{title}</h2>
        {lead && <p class="soft">{lead}</p>}
      </div>
      {children}
    </section>
  );
}
