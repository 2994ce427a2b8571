import { Ellipsis, type IconNode } from "lucide";
import type { ComponentChildren } from "preact";
import { useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { Button } from "./button";
import { explain } from "./errors";
import { Icon } from "./icon";
import styles from "./menu.module.css";
import { toast } from "./toast";

export interface Item {
  label: string;
  icon?: IconNode;
  danger?: boolean;
  onChoose: () => unknown;
}

/** A button that opens a list of actions, by the ARIA menu pattern. Nothing is shown if there are none. */
export function Menu({
  label,
  items,
  icon = Ellipsis,
  face,
  above,
  start,
}: {
  label: string;
  items: (Item | false | null | undefined)[];
  icon?: IconNode;
  /** What the button shows instead of an icon. */
  face?: ComponentChildren;
  /** The list opens above the button, and from the line's start: for a button at the foot or at the side. */
  above?: boolean;
  start?: boolean;
}) {
  const [open, setOpen] = useState(false);
  const id = useId();
  const root = useRef<HTMLDivElement>(null);
  const shown = items.filter((item): item is Item => Boolean(item));
  useLayoutEffect(() => {
    if (!open) return;
    const entries = () => [...(root.current?.querySelectorAll<HTMLElement>("[role=menuitem]") ?? [])];
    entries()[0]?.focus();
    const outside = (event: PointerEvent) => !root.current?.contains(event.target as Node) && setOpen(false);
    const keys = (event: KeyboardEvent) => {
      const all = entries();
      const at = all.indexOf(document.activeElement as HTMLElement);
      const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[event.key];
      if (to !== undefined) {
        all[(to + all.length) % all.length]?.focus();
        event.preventDefault();
      } else if (event.key === "Escape" || event.key === "Tab") {
        setOpen(false);
        root.current?.querySelector("button")?.focus();
        if (event.key === "Escape") event.stopPropagation();
      }
    };
    const element = root.current;
    document.addEventListener("pointerdown", outside);
    element?.addEventListener("keydown", keys);
    return () => {
      document.removeEventListener("pointerdown", outside);
      element?.removeEventListener("keydown", keys);
    };
  }, [open]);
  if (shown.length === 0) return null;
  const choose = async (item: Item) => {
    setOpen(false);
    root.current?.querySelector("button")?.focus();
    try {
      await item.onChoose();
    } catch (error) {
      toast(explain(error), "warn");
    }
  };
  return (
    <div class={styles.menu} ref={root}>
      <Button
        kind="quiet"
        icon={face ? undefined : icon}
        label={label}
        aria-haspopup="menu"
        aria-expanded={open}
        aria-controls={open ? id : undefined}
        onClick={() => setOpen(!open)}
      >
        {face && (
          <>
            <span aria-hidden="true" class={styles.face}>
              {face}
            </span>
            <span class="visually-hidden">{label}</span>
          </>
        )}
      </Button>
      {open && (
        <div
          class={`${styles.list} ${above ? styles.above : ""} ${start ? styles.start : ""}`}
          role="menu"
          id={id}
          aria-label={label}
        >
          {shown.map((item) => (
            <button
              type="button"
              role="menuitem"
              tabIndex={-1}
              key={item.label}
              class={item.danger ? styles.danger : undefined}
              onClick={() => choose(item)}
            >
              {item.icon && <Icon of={item.icon} size={18} />}
              {item.label}
            </button>
          ))}
        </div>
      )}
    </div>
  );
}
