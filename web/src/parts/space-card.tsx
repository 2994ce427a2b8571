import { Mic, Pencil, Play, Ticket, Users } from "lucide";
import type { Schema } from "@/api/client";
import { compact, number, t } from "@/i18n";
import { profile } from "@/state/profiles";
import { account } from "@/state/session";
import { Avatar } from "@/ui/avatar";
import { Icon } from "@/ui/icon";
import { LinkButton } from "@/ui/link-button";
import { DateTime } from "./date-time";
import { Faces, Names, nameOf } from "./people";
import { ReminderButton } from "./reminder-button";
import styles from "./space-card.module.css";
import { TopicChips } from "./topic-chips";

export type SpaceLine = Schema<"SpaceLine">;

/** What a Space is called: its title, or whose it is. */
export const titleOf = (title: string, host: string) => title || t("home.spaceOf", { name: host });

/** What goes on now before what will, otherwise as it was. */
export const liveFirst = (spaces: readonly SpaceLine[]) => [
  ...spaces.filter((one) => one.status === "live"),
  ...spaces.filter((one) => one.status !== "live"),
];

/** A Space in a list. The whole card leads to it. */
export function SpaceCard({ space, level = 2 }: { space: SpaceLine; level?: 2 | 3 }) {
  const Heading = `h${level}` as "h2";
  const host = space.hosts[0] ?? space.creator;
  const hostName = nameOf(profile(host).value);
  const others = [...space.hosts.slice(1), ...space.speakers];
  const live = space.status === "live";
  return (
    <article class={live ? `${styles.card} ${styles.live}` : styles.card}>
      <div class={styles.top}>
        <Badges space={space} />
        <Count space={space} />
      </div>
      <Heading class={styles.title}>
        <a href={`/s/${space.id}`}>{titleOf(space.title, hostName)}</a>
      </Heading>
      {space.description && <p class={styles.description}>{space.description}</p>}
      <p class={styles.host}>
        <Avatar of={profile(host).value} size={28} />
        <span class="ellipsis">{hostName}</span>
        <span class={styles.role}>{t("home.host")}</span>
      </p>
      {others.length > 0 && (
        <p class={styles.others}>
          <Faces ids={others} size={24} />
          <span class="ellipsis">
            <Names ids={others} />
          </span>
        </p>
      )}
      <div class={styles.foot}>
        <TopicChips topics={space.topics} />
        {space.status === "scheduled" && (
          <span class={styles.above}>
            {account.value?.id === space.creator ? (
              <LinkButton small icon={Pencil} href={`/s/${space.id}/edit`}>
                {t("home.edit")}
              </LinkButton>
            ) : (
              <ReminderButton space={space.id} small />
            )}
          </span>
        )}
        {space.status === "ended" && space.replay_available && (
          <span class={styles.play}>
            <Icon of={Play} size={16} />
            {t("home.playReplay")}
          </span>
        )}
      </div>
    </article>
  );
}

function Badges({ space }: { space: SpaceLine }) {
  return (
    <span class={styles.badges}>
      {space.status === "live" && (
        <span class={styles.on}>
          <span class={styles.bars} aria-hidden="true">
            <i />
            <i />
            <i />
          </span>
          {t("common.live")}
        </span>
      )}
      {space.status === "scheduled" && space.scheduled_start && (
        <span class={styles.when}>
          <DateTime at={space.scheduled_start} />
        </span>
      )}
      {space.status === "ended" && space.ended && (
        <span class={styles.past}>
          <DateTime at={space.ended} from="now" />
        </span>
      )}
      {space.status === "canceled" && <span class={styles.past}>{t("home.canceled")}</span>}
      {space.record && space.status !== "ended" && (
        <span class={styles.rec} title={t("home.recorded")}>
          <span class={styles.recDot} aria-hidden="true" />
          <span aria-hidden="true">{t("home.rec")}</span>
          <span class="visually-hidden">{t("home.recorded")}</span>
        </span>
      )}
      {space.ticketed && (
        <span class={styles.ticket}>
          <Icon of={Ticket} size={14} />
          {t("home.ticketed")}
        </span>
      )}
    </span>
  );
}

function Count({ space }: { space: SpaceLine }) {
  if (space.status === "scheduled") {
    if (space.subscribers === 0) return null;
    return <span class={styles.count}>{t("home.waiting", { count: space.subscribers })}</span>;
  }
  // What was over before anybody was counted.
  if (space.status !== "live" && space.participants === 0) return null;
  const label = t(space.status === "live" ? "common.listeners" : "home.tookPart", { count: space.participants });
  return (
    <span class={styles.count} title={number(space.participants)}>
      <Icon of={space.status === "live" ? Users : Mic} size={16} />
      <span aria-hidden="true">{compact(space.participants)}</span>
      <span class="visually-hidden">{label}</span>
    </span>
  );
}
