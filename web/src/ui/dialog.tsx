import { X } from "lucide";
import type { ComponentChildren } from "preact";
import { useId, useLayoutEffect, useRef } from "preact/hooks";
import { t } from "@/i18n";
import { Button } from "./button";
import styles from "./dialog.module.css";

interface Props {
  title: string;
  open: boolean;
  onClose: () => void;
  children: ComponentChildren;
  /** Buttons at the foot. */
  actions?: ComponentChildren;
  /** A panel from the side (from below on a phone) instead of a box in the middle. */
  sheet?: boolean;
}

/** A modal dialog: the browser's own `<dialog>`, which keeps the focus in, closes on Escape and gives the focus back. */
export function Dialog({ title, open, onClose, children, actions, sheet }: Props) {
  const element = useRef<HTMLDialogElement>(null);
  const heading = useId();
  useLayoutEffect(() => {
    const dialog = element.current;
    if (!open || !dialog) return;
    const before = document.activeElement;
    if (!dialog.open) dialog.showModal();
    return () => {
      // Taken out of the page, it gives no focus back by itself, and until then everything else is inert.
      setTimeout(() => {
        if (document.activeElement === document.body && before instanceof HTMLElement) before.focus();
      });
    };
  }, [open]);
  if (!open) return null;
  return (
    // A click beside it closes it, as Escape does by itself.
    // biome-ignore lint/a11y/useKeyWithClickEvents: Escape is the key for it, handled by the browser
    <dialog
      ref={element}
      class={sheet ? styles.sheet : styles.box}
      aria-labelledby={heading}
      onClose={onClose}
      onClick={(event) => event.target === element.current && onClose()}
    >
      <div class={styles.inner}>
        <header class="spread">
          <h2 id={heading}>{title}</h2>
          <Button kind="quiet" icon={X} label={t("common.close")} onClick={onClose} />
        </header>
        <div class={styles.content}>{children}</div>
        {actions && <footer class={styles.actions}>{actions}</footer>}
      </div>
    </dialog>
  );
}
