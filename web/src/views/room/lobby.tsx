import { useSignal } from "@preact/signals";
import { CalendarPlus, Pencil, Play, Share2, Ticket, X } from "lucide";
import { api, ok } from "@/api/client";
import { dateTime, relative, t } from "@/i18n";
import { money } from "@/parts/money";
import { ReminderButton } from "@/parts/reminder-button";
import { share } from "@/parts/share";
import { TopicChips } from "@/parts/topic-chips";
import { Avatar } from "@/ui/avatar";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Switch } from "@/ui/field";
import { LinkButton } from "@/ui/link-button";
import styles from "./door.module.css";
import { Disclosure, hostOf } from "./pre-join";
import type { RoomSession } from "./session";
import { useNow } from "./use-now";

/** A Space that has not begun: its host starts it, everybody else is reminded. */
export function Lobby({ session }: { session: RoomSession }) {
  const state = session.state.value;
  const now = useNow(1_000);
  const canceling = useSignal(false);
  if (!state) return null;
  const host = hostOf(state);
  const hosting = state.you.role === "host";
  const scheduled = state.scheduled_start;
  const params = { path: { space: state.id } };
  const start = async () => {
    await ok(api.POST("/api/v1/spaces/{space}/start", { params }));
    await session.join();
  };
  return (
    <article class={styles.card} aria-labelledby="door-title">
      <p class={styles.facts}>
        <span class={styles.soon}>{t(scheduled ? "room.scheduled" : "room.lobby")}</span>
        {scheduled && (
          <strong>
            {dateTime(scheduled)} <span class="soft">({relative(scheduled, now.value)})</span>
          </strong>
        )}
      </p>
      <h1 id="door-title">{state.title || t("room.untitled")}</h1>
      {state.description && <p class={styles.description}>{state.description}</p>}
      <TopicChips topics={state.topics} />
      <a class={styles.host} href={host ? `/@${host.handle}` : "#"}>
        <Avatar of={host} size={48} />
        <span>
          <strong>{host?.name ?? "…"}</strong>
          <span class="soft">{t("room.role_host")}</span>
        </span>
      </a>
      {scheduled && <p class="soft">{t("room.subscribers", { count: state.subscribers })}</p>}
      {hosting && (
        <Switch
          label={t("room.record")}
          hint={t("room.recordHint")}
          checked={state.record}
          onChange={async (on) => {
            const undo = session.feed.suppose({ record: on });
            await ok(api.PUT("/api/v1/spaces/{space}/settings/record", { params, body: { on } })).catch(undo);
            await session.feed.reload();
          }}
        />
      )}
      <Disclosure state={state} />
      {session.refusal.value && (
        <p class={styles.refusal} role="alert">
          {session.refusal.value}
        </p>
      )}
      <div class={styles.actions}>
        {hosting ? (
          <Button kind="primary" icon={Play} onClick={start}>
            {t("room.startSpace")}
          </Button>
        ) : (
          scheduled && <ReminderButton space={state.id} />
        )}
        {state.ticketing && !hosting && (
          <LinkButton icon={Ticket} href={`/s/${state.id}/tickets`}>
            {t("room.ticketFor", { price: money(state.ticketing.price_minor, state.ticketing.currency) })}
          </LinkButton>
        )}
        {scheduled && (
          <LinkButton icon={CalendarPlus} href={`/s/${state.id}/calendar.ics`} download="space.ics">
            {t("room.addToCalendar")}
          </LinkButton>
        )}
        {(scheduled || !hosting) && (
          <Button icon={Share2} onClick={() => share(`/s/${state.id}`, state.title)}>
            {t("replay.share")}
          </Button>
        )}
        {hosting && (
          <>
            <LinkButton icon={Pencil} href={`/s/${state.id}/edit`}>
              {t("room.edit")}
            </LinkButton>
            <Button
              kind="danger"
              icon={X}
              onClick={() => {
                canceling.value = true;
              }}
            >
              {t("room.cancelSpace")}
            </Button>
          </>
        )}
      </div>
      {hosting && <p class="soft">{t("room.startHint")}</p>}
      <Dialog
        title={t("room.cancelTitle")}
        open={canceling.value}
        onClose={() => {
          canceling.value = false;
        }}
        actions={
          <>
            <Button
              onClick={() => {
                canceling.value = false;
              }}
            >
              {t("room.keep")}
            </Button>
            <Button
              kind="danger"
              onClick={async () => {
                await ok(api.POST("/api/v1/spaces/{space}/cancel", { params }));
                canceling.value = false;
              }}
            >
              {t("room.cancelSpace")}
            </Button>
          </>
        }
      >
        <p>{t("room.cancelText")}</p>
      </Dialog>
    </article>
  );
}
