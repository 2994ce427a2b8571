import { useSignal } from "@preact/signals";
import { Check, Search, UserPlus, X } from "lucide";
import { useEffect } from "preact/hooks";
import { api, ok } from "@/api/client";
import { relative, t } from "@/i18n";
import { profile } from "@/state/profiles";
import { hosts, type Waiting } from "@/state/space";
import { Avatar } from "@/ui/avatar";
import { Button } from "@/ui/button";
import { Icon } from "@/ui/icon";
import { Failed } from "@/ui/states";
import { type Person, useListeners } from "./listeners";
import styles from "./people-panel.module.css";
import { useRoom } from "./room-context";
import { useNow } from "./use-now";

/** Who is here: for hosts who wants to speak, then the stage, then listeners, with a search through all. */
export function PeoplePanel() {
  const { session, open } = useRoom();
  const search = useSignal("");
  const state = session.state.value;
  const found = useListeners(session.space, search.value.trim());
  // Whoever sits on stage or leaves it changes what the list says of them.
  const stage = state?.stage.map((seat) => seat.account).join() ?? "";
  useEffect(() => {
    void found.again();
  }, [stage, state?.counts?.named]);
  if (!state) return null;
  const hosting = hosts(state.you.role);
  const seated = new Map(state.stage.map((seat) => [seat.account, seat]));
  const people = found.people.value;
  const onStage = people.filter((person) => seated.has(person.profile.id));
  const listening = people.filter((person) => !seated.has(person.profile.id));
  const unnamed = [
    (state.counts?.anonymous ?? 0) > 0 && t("room.anonymousCount", { count: state.counts?.anonymous ?? 0 }),
    (state.counts?.guests ?? 0) > 0 && t("room.guestCount", { count: state.counts?.guests ?? 0 }),
  ].filter(Boolean);
  return (
    <div class={styles.panel}>
      {hosting && <Queue />}
      <div class={styles.tools}>
        <label class={styles.search}>
          <Icon of={Search} size={18} />
          <span class="visually-hidden">{t("room.searchPeople")}</span>
          <input
            type="search"
            placeholder={t("room.searchPeople")}
            value={search.value}
            onInput={(event) => {
              search.value = event.currentTarget.value;
            }}
          />
        </label>
        {hosting && (
          <Button
            kind="quiet"
            icon={UserPlus}
            label={t("room.invitePeople")}
            onClick={() => {
              open.value = { kind: "invite" };
            }}
          />
        )}
      </div>
      {found.error.value !== null && <Failed error={found.error.value} onRetry={found.again} />}
      <Section title={t("room.onStage")} people={onStage} />
      <Section title={t("room.listeners")} people={listening} />
      {people.length === 0 && !found.loading.value && <p class="soft">{t("room.nobodyFound")}</p>}
      {found.next.value && <Button onClick={found.more}>{t("common.loadMore")}</Button>}
      {unnamed.length > 0 && !search.value && <p class="soft">{t("room.unnamedToo", { what: unnamed.join(" · ") })}</p>}
    </div>
  );
}

function Section({ title, people }: { title: string; people: readonly Person[] }) {
  if (people.length === 0) return null;
  return (
    <section>
      <h3 class={styles.heading}>{title}</h3>
      <ul>
        {people.map((person) => (
          <Row key={person.profile.id} person={person} />
        ))}
      </ul>
    </section>
  );
}

function Row({ person }: { person: Person }) {
  const { session, open } = useRoom();
  const { profile: who, role, blocked } = person;
  const words = [
    who.id === session.me && t("room.you"),
    role === "host" || role === "cohost" || role === "speaker" ? t(`room.role_${role}`) : null,
    person.away && t("room.away"),
  ].filter(Boolean);
  return (
    <li>
      <button
        type="button"
        class={styles.row}
        onClick={() => {
          open.value = { kind: "person", account: who.id };
        }}
      >
        <Avatar of={who} size={40} />
        <span class={styles.names}>
          <strong class="ellipsis">{who.name}</strong>
          <span class="soft ellipsis">@{who.handle}</span>
        </span>
        {blocked && <span class={styles.blocked}>{t("room.blocked")}</span>}
        {words.length > 0 && <span class={styles.words}>{words.join(" · ")}</span>}
      </button>
    </li>
  );
}

/** Who waits to speak, oldest first. */
function Queue() {
  const { session } = useRoom();
  const state = session.state.value;
  const now = useNow(15_000);
  if (!state || state.queue.length === 0) return null;
  return (
    <section class={styles.queue} aria-label={t("room.requests")}>
      <h3 class={styles.heading}>{t("room.waiting", { count: state.queue.length })}</h3>
      <ol>
        {state.queue.map((waiting) => (
          <Request key={waiting.account} waiting={waiting} space={state.id} now={now.value} />
        ))}
      </ol>
    </section>
  );
}

function Request({ waiting, space, now }: { waiting: Waiting; space: string; now: number }) {
  const { open } = useRoom();
  const who = profile(waiting.account).value;
  const name = who?.name ?? "…";
  const at = { params: { path: { space, account: waiting.account } } };
  return (
    <li class={styles.request}>
      <button
        type="button"
        class={styles.row}
        onClick={() => {
          open.value = { kind: "person", account: waiting.account };
        }}
      >
        <Avatar of={who} size={40} />
        <span class={styles.names}>
          <strong class="ellipsis">{name}</strong>
          <span class="soft ellipsis">{relative(waiting.since, now)}</span>
        </span>
      </button>
      <Button
        kind="quiet"
        icon={X}
        label={t("room.denyRequest", { name })}
        onClick={() => ok(api.POST("/api/v1/spaces/{space}/requests/{account}/reject", at))}
      />
      <Button
        kind="primary"
        icon={Check}
        label={t("room.acceptRequest", { name })}
        onClick={() => ok(api.POST("/api/v1/spaces/{space}/requests/{account}/approve", at))}
      />
    </li>
  );
}
