// Short notices that come and go: what was done, what was refused. Read out by screen readers.
import { signal } from "@preact/signals";
import styles from "./toast.module.css";

type Tone = "plain" | "warn";
const shown = signal<{ id: number; text: string; tone: Tone }[]>([]);
let next = 0;

/** Shows `text` for some seconds. */
export function toast(text: string, tone: Tone = "plain"): void {
  const id = next++;
  shown.value = [...shown.value.slice(-2), { id, text, tone }];
  setTimeout(() => dismiss(id), Math.min(12_000, 3_500 + text.length * 60));
}

const dismiss = (id: number) => {
  shown.value = shown.value.filter((one) => one.id !== id);
};

/** The place of toasts: once in the page. */
export function Toasts() {
  return (
    <div class={styles.toasts} role="status" aria-live="polite">
      {shown.value.map(({ id, text, tone }) => (
        <button type="button" key={id} class={`${styles.toast} ${styles[tone]}`} onClick={() => dismiss(id)}>
          {text}
        </button>
      ))}
    </div>
  );
}
