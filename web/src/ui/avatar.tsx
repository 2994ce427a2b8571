import { useState } from "preact/hooks";
import type { Profile } from "@/state/profiles";
import styles from "./avatar.module.css";

/** Somebody's picture, or the first letter of the name on a colour of their own. Decoration: the name stands beside it. */
export function Avatar({ of, size = 40 }: { of: Profile | null; size?: number }) {
  const [broken, setBroken] = useState(false);
  const name = of?.name || of?.handle || "";
  const hue = [...(of?.id ?? "")].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 360, 7);
  return (
    <span
      class={styles.avatar}
      style={{ width: `${size / 16}rem`, height: `${size / 16}rem`, fontSize: `${size / 38}rem`, "--hue": String(hue) }}
      // Drawn by the style sheet: a letter in the text would be part of what the button around it says.
      data-letter={name.slice(0, 1).toUpperCase()}
      aria-hidden="true"
    >
      {of?.picture && !broken && (
        <img src={of.picture} alt="" width={size} height={size} loading="lazy" onError={() => setBroken(true)} />
      )}
    </span>
  );
}
