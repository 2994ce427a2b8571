import { useSignal } from "@preact/signals";
import { Bell, BellOff, CalendarPlus, Pencil, Play, Share2, Ticket, X } from "lucide";
import { api, ok } from "@/api/client";
import { dateTime, relative, t } from "@/i18n";
import { share } from "@/parts/share";
import { signedIn } from "@/state/session";
import { Avatar } from "@/ui/avatar";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Switch } from "@/ui/field";
import { Icon } from "@/ui/icon";
import { toast } from "@/ui/toast";
import { useLoaded } from "@/ui/use-loaded";
import styles from "./door.module.css";
import { Disclosure, hostOf, price, Topics } from "./pre-join";
import type { RoomSession } from "./session";
import { useNow } from "./use-now";

/** A Space that has not begun: its host starts it, everybody else is reminded. */
export function Lobby({ session }: { session: RoomSession }) {
  const state = session.state.value;
  const now = useNow(15_000);
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
      <Topics state={state} />
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
          scheduled && <Remind session={session} />
        )}
        {state.ticketing && !hosting && (
          <a class={styles.link} href={`/s/${state.id}/tickets`}>
            <Icon of={Ticket} size={18} />
            {t("room.ticketFor", { price: price(state) })}
          </a>
        )}
        {scheduled && (
          <a class={styles.link} href={`/s/${state.id}/calendar.ics`} download="space.ics">
            <Icon of={CalendarPlus} size={18} />
            {t("room.addToCalendar")}
          </a>
        )}
        {(scheduled || !hosting) && (
          <Button icon={Share2} onClick={() => share(`/s/${state.id}`, state.title)}>
            {t("replay.share")}
          </Button>
        )}
        {hosting && (
          <>
            <a class={styles.link} href={`/s/${state.id}/edit`}>
              <Icon of={Pencil} size={18} />
              {t("room.edit")}
            </a>
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

function Remind({ session }: { session: RoomSession }) {
  const params = { path: { space: session.space } };
  const reminders = useLoaded(
    async () => (signedIn.value ? (await ok(api.GET("/api/v1/me/reminders"))).data : []),
    [session.space, signedIn.value],
  );
  if (!signedIn.value) {
    return (
      <a class={styles.link} href={`/sign-in?next=/s/${session.space}`}>
        {t("room.signInToBeReminded")}
      </a>
    );
  }
  const on = (reminders.value.value ?? []).some((one) => one.id === session.space);
  return (
    <Button
      kind={on ? "plain" : "primary"}
      icon={on ? BellOff : Bell}
      aria-pressed={on}
      onClick={async () => {
        if (on) await ok(api.DELETE("/api/v1/spaces/{space}/reminder", { params }));
        else await ok(api.PUT("/api/v1/spaces/{space}/reminder", { params }));
        await reminders.again();
        toast(t(on ? "room.reminderOff" : "room.reminderOn"));
      }}
    >
      {t(on ? "room.reminded" : "room.remindMe")}
    </Button>
  );
}
