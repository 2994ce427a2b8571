import { type Signal, signal } from "@preact/signals";
import { BarChart3 } from "lucide";
import { ApiError, api, ok } from "@/api/client";
import { t } from "@/i18n";
import { profile } from "@/state/profiles";
import { hosts, named, type Poll } from "@/state/space";
import { Button } from "@/ui/button";
import { Icon } from "@/ui/icon";
import styles from "./poll.module.css";
import { useRoom } from "./room-context";

const chosenKey = (space: string, poll: number) => `vote:${space}:${poll}`;
const votes = new Map<string, Signal<number | null>>();

/** The server keeps votes secret, from their voters too: what we chose is known to this browser only. */
function vote(space: string, poll: number): Signal<number | null> {
  const key = chosenKey(space, poll);
  const kept = localStorage.getItem(key);
  const found = votes.get(key) ?? signal(kept === null ? null : Number(kept));
  votes.set(key, found);
  return found;
}

/** A poll: buttons until one has voted, then (and for who may not vote, and when it is closed) live counts. */
export function PollCard({ poll }: { poll: Poll }) {
  const { session } = useRoom();
  const state = session.state.value;
  const chosen = vote(session.space, poll.poll);
  if (!state) return null;
  const by = profile(poll.by).value;
  const all = poll.votes.reduce((sum, votes) => sum + votes, 0);
  const open = !poll.closed && chosen.value === null && named(state.you.role) && !session.anonymous.value;
  const params = { path: { space: state.id, poll: poll.poll } };
  const remember = (option: number | null) => {
    chosen.value = option;
    if (option === null) localStorage.removeItem(chosenKey(state.id, poll.poll));
    else localStorage.setItem(chosenKey(state.id, poll.poll), String(option));
  };
  const choose = async (option: number) => {
    remember(option);
    try {
      await ok(api.PUT("/api/v1/spaces/{space}/polls/{poll}/vote", { params, body: { option } }));
    } catch (error) {
      // Voted elsewhere: for what is the voter's secret, from this page too.
      if (error instanceof ApiError && error.code === "poll.voted") remember(-1);
      else remember(null);
      throw error;
    }
  };
  return (
    <section class={styles.poll} aria-label={t("room.poll")}>
      <p class={styles.by}>
        <Icon of={BarChart3} size={16} />
        <span>{by ? t("room.pollBy", { name: by.name }) : t("room.poll")}</span>
        <span class="grow" />
        <span>
          {poll.closed && `${t("room.pollClosed")} · `}
          {t("room.votes", { count: all })}
        </span>
      </p>
      <h3>{poll.question}</h3>
      <ul class={styles.options}>
        {poll.options.map((option, index) => {
          const votes = poll.votes[index] ?? 0;
          const share = all > 0 ? votes / all : 0;
          return (
            <li key={option}>
              {open ? (
                <Button onClick={() => choose(index)}>{option}</Button>
              ) : (
                <div
                  class={styles.result}
                  data-own={chosen.value === index || undefined}
                  style={{ "--share": share.toFixed(3) }}
                >
                  <span class="grow">
                    {option}
                    {chosen.value === index && <span class={styles.own}> · {t("room.yourVote")}</span>}
                  </span>
                  <strong>{Math.round(share * 100)}%</strong>
                </div>
              )}
            </li>
          );
        })}
      </ul>
      {hosts(state.you.role) && !poll.closed && (
        <Button small onClick={() => ok(api.POST("/api/v1/spaces/{space}/polls/{poll}/close", { params }))}>
          {t("room.closePoll")}
        </Button>
      )}
    </section>
  );
}
