import type { IconNode } from "lucide";
import type { ButtonHTMLAttributes, ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import styles from "./button.module.css";
import { explain } from "./errors";
import { Icon } from "./icon";
import { toast } from "./toast";

interface Props extends Omit<ButtonHTMLAttributes<HTMLButtonElement>, "onClick" | "loading" | "icon"> {
  kind?: "primary" | "plain" | "quiet" | "danger";
  small?: boolean;
  icon?: IconNode;
  /** For a button that shows its icon alone: what it does. */
  label?: string;
  children?: ComponentChildren;
  /** While its promise is open the button is busy; a refusal is shown as a toast. */
  onClick?: (event: MouseEvent) => unknown;
}

/** A button. With `aria-pressed` it is a switch that stays. */
export function Button({ kind = "plain", small, icon, label, children, onClick, disabled, ...rest }: Props) {
  const [busy, setBusy] = useState(false);
  const click = async (event: MouseEvent) => {
    if (busy) return;
    const result = onClick?.(event);
    if (!(result instanceof Promise)) return;
    setBusy(true);
    try {
      await result;
    } catch (error) {
      toast(explain(error), "warn");
    } finally {
      setBusy(false);
    }
  };
  const classes = [styles.button, styles[kind], small && styles.small, !children && styles.round];
  return (
    <button
      type="button"
      {...rest}
      class={classes.filter(Boolean).join(" ")}
      aria-label={children ? rest["aria-label"] : label}
      title={children ? rest.title : label}
      aria-busy={busy || undefined}
      disabled={disabled}
      onClick={click}
    >
      {icon && <Icon of={icon} size={small ? 16 : 20} />}
      {children}
    </button>
  );
}
