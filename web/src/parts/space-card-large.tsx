import { Circle, MessageSquareText, Scissors, Ticket } from "lucide";
import type { ComponentChildren } from "preact";
import type { Schema } from "@/api/client";
import { language, t } from "@/i18n";
import { profile } from "@/state/profiles";
import { Avatar } from "@/ui/avatar";
import { Icon } from "@/ui/icon";
import { Countdown } from "./countdown";
import { DateTime } from "./date-time";
import { money } from "./money";
import { Faces, Names, nameOf, PersonLink } from "./people";
import { ReminderButton } from "./reminder-button";
import { titleOf } from "./space-card";
import styles from "./space-card-large.module.css";
import { SpaceLinks } from "./space-links";
import { TopicChips } from "./topic-chips";

/** A Space that has not started, as its own page: what it is, when, who, and what one can do. `children`: more of that. */
export function SpaceCardLarge({ space, children }: { space: Schema<"SpaceView">; children?: ComponentChildren }) {
  const host = space.admin ?? space.creator;
  const others = space.stage.map((seat) => seat.account).filter((account) => account !== host);
  const mine = space.you.role === "host";
  return (
    <article class={styles.card}>
      <header class={styles.head}>
        {space.status === "scheduled" && space.scheduled_start ? (
          <p class={styles.when}>
            <DateTime at={space.scheduled_start} /> · <Countdown to={space.scheduled_start} />
          </p>
        ) : (
          <p class={styles.when}>{t(space.status === "canceled" ? "home.canceled" : "home.notStarted")}</p>
        )}
        <h1>{titleOf(space.title, nameOf(profile(host).value))}</h1>
        {space.description && <p class={styles.description}>{space.description}</p>}
        <TopicChips topics={space.topics} />
      </header>
      <div class={styles.host}>
        <Avatar of={profile(host).value} size={56} />
        <span class="grow">
          <span class={styles.name}>
            <PersonLink id={host} />
          </span>
          <span class="soft">{t("home.host")}</span>
        </span>
      </div>
      {others.length > 0 && (
        <p class="row">
          <Faces ids={others} />
          <span>
            <Names ids={others} most={3} />
          </span>
        </p>
      )}
      <Facts space={space} />
      {space.subscribers > 0 && <p class="soft">{t("home.waiting", { count: space.subscribers })}</p>}
      <div class={styles.actions}>
        {children}
        {space.status === "scheduled" && !mine && <ReminderButton space={space.id} />}
        <SpaceLinks space={space} />
      </div>
    </article>
  );
}

function Facts({ space }: { space: Schema<"SpaceView"> }) {
  const sold = space.ticketing;
  return (
    <ul class={styles.facts}>
      {space.record && (
        <li>
          <Icon of={Circle} size={18} />
          {t("home.willRecord")}
        </li>
      )}
      {space.clips && (
        <li>
          <Icon of={Scissors} size={18} />
          {t("home.mayClip")}
        </li>
      )}
      {space.captions && (
        <li>
          <Icon of={MessageSquareText} size={18} />
          {t("home.hasCaptions")}
        </li>
      )}
      {sold && (
        <li>
          <Icon of={Ticket} size={18} />
          <a href={`/s/${space.id}/tickets`}>
            {t("home.ticketFor", {
              price: money(sold.price_minor, sold.currency, language.value),
              left: Math.max(0, sold.quantity - sold.sold),
            })}
          </a>
        </li>
      )}
    </ul>
  );
}
