import { api, ok, type Schema } from "@/api/client";
import { compact, list, t } from "@/i18n";
import { nameOf } from "@/parts/people";
import { titleOf } from "@/parts/space-card";
import { usePolling } from "@/parts/use-polling";
import { profile } from "@/state/profiles";
import { Avatar } from "@/ui/avatar";
import { useLoaded } from "@/ui/use-loaded";
import styles from "./live-bar.module.css";

const EVERY_MS = 15_000;

/** Live Spaces of the people one follows. Not there while there are none: the tabs tell what else goes on. */
export function LiveBar() {
  const bar = useLoaded(() => ok(api.GET("/api/v1/discover/bar")), []);
  usePolling(bar.again, EVERY_MS);
  const lines = bar.value.value?.data ?? [];
  if (lines.length === 0) return null;
  return (
    <section aria-label={t("home.bar")} class={styles.bar}>
      <ul>
        {lines.map((line) => (
          <li key={line.space.id}>
            <Pill line={line} />
          </li>
        ))}
      </ul>
    </section>
  );
}

function Pill({ line }: { line: Schema<"BarLine"> }) {
  const { space } = line;
  const host = space.hosts[0] ?? space.creator;
  const title = titleOf(space.title, nameOf(profile(host).value));
  const [known, how] = whom(line);
  const names = list(known.slice(0, 2).map((id) => nameOf(profile(id).value)));
  const more = known.length > 2 ? t("home.andMore", { count: known.length - 2 }) : "";
  const who = t(`home.${how}`, { names: more ? list([names, more]) : names });
  return (
    <a
      href={`/s/${space.id}`}
      class={styles.pill}
      aria-label={`${title}. ${who}. ${t("common.listeners", { count: space.participants })}`}
    >
      <span class={styles.ring}>
        <Avatar of={profile(known[0] ?? host).value} size={48} />
      </span>
      <span class="grow">
        <span class={styles.title}>{title}</span>
        <span class={styles.who}>
          <span class="ellipsis">{who}</span>
        </span>
      </span>
      <span class={styles.count}>{compact(space.participants)}</span>
    </a>
  );
}

/** Whom of the people one follows it is shown for: those who host first. */
function whom(line: Schema<"BarLine">): [string[], "hosting" | "speaking" | "listening"] {
  if (line.hosting.length > 0) return [line.hosting, "hosting"];
  if (line.speaking.length > 0) return [line.speaking, "speaking"];
  return [line.listening, "listening"];
}
