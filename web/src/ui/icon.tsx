import type { IconNode } from "lucide";
import { h } from "preact";

/** A picture of the Lucide set: `<Icon of={Mic} />`. Without `label` it is decoration, which screen readers skip. */
export function Icon({ of, label, size = 20 }: { of: IconNode; label?: string; size?: number }) {
  return (
    <svg
      width={size}
      height={size}
      viewBox="0 0 24 24"
      fill="none"
      stroke="currentColor"
      stroke-width="2"
      stroke-linecap="round"
      stroke-linejoin="round"
      role={label ? "img" : undefined}
      aria-label={label}
      aria-hidden={label ? undefined : true}
    >
      {of.map(([tag, attributes], index) => h(tag, { key: index, ...attributes }))}
    </svg>
  );
}
