// People as other things name them: by id, by their pictures, as a row of a list.
import type { ComponentChildren } from "preact";
import { list, t } from "@/i18n";
import { type Profile, profile } from "@/state/profiles";
import { Avatar } from "@/ui/avatar";
import styles from "./people.module.css";

export const nameOf = (one: Profile | null) => one?.name || (one ? `@${one.handle}` : "…");

/** The name, linked to the profile. */
export function PersonLink({ id }: { id: string }) {
  const one = profile(id).value;
  return one ? <a href={`/@${one.handle}`}>{nameOf(one)}</a> : <span>…</span>;
}

/** Pictures that overlap, and how many more there are. Decoration: names stand beside them. */
export function Faces({ ids, most = 5, size = 28 }: { ids: readonly string[]; most?: number; size?: number }) {
  const shown = ids.slice(0, most);
  if (shown.length === 0) return null;
  return (
    <span class={styles.faces} aria-hidden="true">
      {shown.map((id) => (
        <span key={id} class={styles.face}>
          <Avatar of={profile(id).value} size={size} />
        </span>
      ))}
      {ids.length > most && <span class={styles.rest}>+{ids.length - most}</span>}
    </span>
  );
}

/** "Ada, Bo and 3 more". */
export function Names({ ids, most = 2 }: { ids: readonly string[]; most?: number }) {
  const names = ids.slice(0, most).map((id) => nameOf(profile(id).value));
  const more = ids.length - names.length;
  return <>{list(more > 0 ? [...names, t("home.andMore", { count: more })] : names)}</>;
}

/** Somebody in a list: picture, name, handle, what they are, and what can be done. */
export function PersonRow({
  id,
  badge,
  children,
}: {
  id: string;
  badge?: string | null;
  children?: ComponentChildren;
}) {
  const one = profile(id).value;
  return (
    <div class={styles.row}>
      <a class={styles.who} href={one ? `/@${one.handle}` : undefined}>
        <Avatar of={one} size={44} />
        <span class="grow">
          <span class={styles.name}>
            <span class="ellipsis">{nameOf(one)}</span>
            {badge && <span class={styles.badge}>{badge}</span>}
          </span>
          <span class={styles.handle}>{one ? `@${one.handle}` : ""}</span>
        </span>
      </a>
      {children}
    </div>
  );
}
