import type { IconNode } from "lucide";
import type { ComponentChildren } from "preact";
import styles from "./button.module.css";
import { Icon } from "./icon";

interface Props {
  href: string;
  kind?: "primary" | "plain" | "quiet";
  small?: boolean;
  icon?: IconNode;
  /** The browser saves what is there under this name. */
  download?: string;
  /** For one that shows its icon alone. */
  label?: string;
  children?: ComponentChildren;
}

/** A link that looks like a button, for what leads elsewhere. */
export function LinkButton({ kind = "plain", small, icon, label, children, ...rest }: Props) {
  const classes = [styles.button, styles[kind], small && styles.small, !children && styles.round];
  return (
    <a {...rest} class={classes.filter(Boolean).join(" ")} title={label}>
      {icon && <Icon of={icon} size={small ? 16 : 20} />}
      {children ?? <span class="visually-hidden">{label}</span>}
    </a>
  );
}
