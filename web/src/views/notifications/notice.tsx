import { Bell, CalendarClock, Hand, Radio as Live, Mic, type Radio, Scissors, Shield, Ticket } from "lucide";
import type { Schema } from "@/api/client";
import { dateTime, relative, t } from "@/i18n";
import { nameOf } from "@/parts/people";
import { profile } from "@/state/profiles";
import { Avatar } from "@/ui/avatar";
import { Icon } from "@/ui/icon";
import { noticeLink, noticeText } from "./kinds";
import styles from "./notifications.module.css";

const ICONS: [RegExp, typeof Radio][] = [
  [/^(invited|request|asked|muted)/, Mic],
  [/^(space_started|became_host|space_ended)/, Live],
  [/^(space_moved|space_canceled|host_reminder)/, CalendarClock],
  [/^(clip|replay|export)/, Scissors],
  [/^ticket/, Ticket],
  [/^(ended_for|violation|live_banned|ban_|appeal|removed|blocked)/, Shield],
  [/^raised/, Hand],
];

/** One thing that one was told; opening it marks it as read. */
export function Notice({ told, onOpen }: { told: Schema<"NotificationView">; onOpen: () => void }) {
  const by = told.by ? profile(told.by).value : null;
  const href = noticeLink(told);
  const icon = ICONS.find(([kinds]) => kinds.test(told.kind))?.[1] ?? Bell;
  const inside = (
    <>
      <span class={styles.picture}>
        {told.by ? <Avatar of={by} size={44} /> : <Icon of={icon} size={22} />}
        {told.by && (
          <span class={styles.mark}>
            <Icon of={icon} size={12} />
          </span>
        )}
      </span>
      <span class="grow">
        <span class={styles.text}>{noticeText(told, told.by ? nameOf(by) : null)}</span>
        <time class={styles.time} dateTime={told.at} title={dateTime(told.at)}>
          {relative(told.at)}
        </time>
      </span>
      {told.read === null && (
        <span class={styles.unread}>
          <span class="visually-hidden">{t("told.unread")}</span>
        </span>
      )}
    </>
  );
  const classes = `${styles.notice} ${told.read === null ? styles.fresh : ""}`;
  return href ? (
    <a class={classes} href={href} onClick={onOpen}>
      {inside}
    </a>
  ) : (
    <button type="button" class={classes} onClick={onOpen}>
      {inside}
    </button>
  );
}
