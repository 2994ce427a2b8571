import { useSignal } from "@preact/signals";
import { Captions, CircleDot, EyeOff, Flag, Headphones, Scissors, ShieldCheck, Ticket } from "lucide";
import { useEffect } from "preact/hooks";
import { api, ok } from "@/api/client";
import { list, number, t } from "@/i18n";
import { money } from "@/parts/money";
import { share } from "@/parts/share";
import { TopicChips } from "@/parts/topic-chips";
import { learn, profile } from "@/state/profiles";
import { onStage, type SpaceState } from "@/state/space";
import { Avatar } from "@/ui/avatar";
import { Button } from "@/ui/button";
import { Switch } from "@/ui/field";
import { Icon } from "@/ui/icon";
import { LinkButton } from "@/ui/link-button";
import { useLoaded } from "@/ui/use-loaded";
import styles from "./door.module.css";
import type { Person } from "./listeners";
import { loadSound, type RoomSession } from "./session";

/** Before one comes in: who is there, what becomes of what is said, and as whom to join. */
export function PreJoin({ session }: { session: RoomSession }) {
  const anonymous = useSignal(false);
  const state = session.state.value;
  const peek = useLoaded(async () => {
    const found = await ok(api.GET("/api/v1/spaces/{space}/peek", { params: { path: { space: session.space } } }));
    learn(...found.people.map((person) => person.profile));
    return found;
  }, [session.space, state?.stage.length]);
  useEffect(() => {
    // While people read, so that the click is answered with sound.
    loadSound().catch(() => {});
  }, []);
  if (!state) return null;
  const people = peek.value.value?.people ?? [];
  const counts = state.counts ?? peek.value.value?.counts ?? null;
  const all = counts ? counts.named + counts.anonymous + counts.guests : null;
  const speaking = people.filter((person) => onStage(person.role));
  const others = people.filter((person) => !onStage(person.role));
  const seated = session.seat.value !== undefined;
  const refusal = session.refusal.value;
  return (
    <article class={styles.card} aria-labelledby="door-title">
      <p class={styles.facts}>
        <span class={styles.live}>{t("common.live")}</span>
        {state.recording && <span class={styles.rec}>{t("room.rec")}</span>}
        {all !== null && <span class="soft">{t("room.peopleHere", { count: all })}</span>}
      </p>
      <h1 id="door-title">{state.title || t("room.untitled")}</h1>
      {state.description && <p class={styles.description}>{state.description}</p>}
      <TopicChips topics={state.topics} />
      {(peek.value.value?.notices ?? []).length > 0 && <BlockedSpeakers state={state} />}
      <ul class={styles.people} aria-label={t("room.whoIsThere")}>
        {speaking.map((person) => (
          <li key={person.profile.id}>
            <Avatar of={person.profile} size={60} />
            <span class={styles.name}>{person.profile.name}</span>
            <span class="soft">
              {person.blocked ? t("room.blocked") : t(`room.role_${person.role as "host" | "cohost" | "speaker"}`)}
            </span>
          </li>
        ))}
      </ul>
      {others.length > 0 && (
        <p class={styles.faces}>
          <span aria-hidden="true">
            {others.slice(0, 5).map((person) => (
              <Avatar key={person.profile.id} of={person.profile} size={28} />
            ))}
          </span>
          <span class="soft">
            {t("room.alsoListening", { names: list(listening(others, (all ?? 0) - speaking.length)) })}
          </span>
        </p>
      )}
      <Disclosure state={state} />
      {refusal && (
        <p class={styles.refusal} role="alert">
          {refusal}
        </p>
      )}
      <div class={styles.foot}>
        {session.me !== null && !seated && (
          <Switch
            label={t("room.joinAnonymously")}
            hint={t("room.joinAnonymouslyHint")}
            checked={anonymous.value}
            onChange={(on) => {
              anonymous.value = on;
            }}
          />
        )}
        <div class={styles.actions}>
          <Button
            kind="primary"
            icon={anonymous.value ? EyeOff : Headphones}
            onClick={async () => {
              // What was refused is said above the button, and stays.
              await session.join(anonymous.value && !seated).catch(() => {});
            }}
          >
            {seated
              ? t("room.comeBack")
              : session.me === null
                ? t("room.listenAsGuest")
                : t(anonymous.value ? "room.listenAnonymously" : "room.startListening")}
          </Button>
          {state.ticketing && !seated && (
            <LinkButton icon={Ticket} href={`/s/${state.id}/tickets`}>
              {t("room.ticketFor", { price: money(state.ticketing.price_minor, state.ticketing.currency) })}
            </LinkButton>
          )}
          <Button onClick={() => share(`/s/${state.id}`, state.title)}>{t("replay.share")}</Button>
        </div>
      </div>
      {session.me === null && (
        <p class="soft">
          {t("room.guestText")} <a href={`/sign-in?next=/s/${state.id}`}>{t("common.signIn")}</a>
        </p>
      )}
    </article>
  );
}

/** Two names, and how many more there are, listed or not. */
function listening(people: readonly Person[], all: number): string[] {
  const names = people.slice(0, 2).map((person) => person.profile.name);
  const more = all - names.length;
  return more > 0 ? [...names, t("room.more", { count: more })] : names;
}

function BlockedSpeakers({ state }: { state: SpaceState }) {
  const count = state.stage.filter((seat) => seat.blocked).length;
  if (count === 0) return null;
  return (
    <p class={styles.blocked} role="note">
      <Icon of={Flag} size={18} />
      {t("room.blockedSpeaking", { count })}
    </p>
  );
}

/** What becomes of what is said here, before anybody says anything. */
export function Disclosure({ state }: { state: SpaceState }) {
  const { disclosure } = state;
  const lines: [typeof CircleDot, string][] = [];
  if (disclosure.recorded) {
    lines.push([
      CircleDot,
      disclosure.replay_days === null
        ? t("room.toldRecorded")
        : t("room.toldRecordedDays", { count: disclosure.replay_days }),
    ]);
  }
  if (disclosure.captions) lines.push([Captions, t("room.toldCaptions")]);
  if (disclosure.clips) lines.push([Scissors, t("room.toldClips")]);
  if (disclosure.review_days !== null) {
    lines.push([
      ShieldCheck,
      t("room.toldReview", {
        count: disclosure.review_days,
        longer: number(disclosure.violation_days ?? disclosure.review_days),
      }),
    ]);
  }
  if (lines.length === 0) return null;
  return (
    <ul class={styles.told} aria-label={t("room.goodToKnow")}>
      {lines.map(([icon, text]) => (
        <li key={text}>
          <Icon of={icon} size={18} />
          <span>{text}</span>
        </li>
      ))}
    </ul>
  );
}

export const hostOf = (state: SpaceState) => profile(state.admin ?? state.creator).value;
