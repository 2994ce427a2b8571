import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { api, ok, type Schema } from "@/api/client";
import { number, t } from "@/i18n";
import { account } from "@/state/session";
import { Button } from "@/ui/button";
import styles from "./posts.module.css";

/** The shares of votes in whole percent; they need not add up to 100. */
export function shares(votes: readonly number[]): number[] {
  const all = votes.reduce((sum, one) => sum + one, 0);
  return votes.map((one) => (all === 0 ? 0 : Math.round((one / all) * 100)));
}

/** A post's poll: buttons until one has voted, then bars. Its author and guests see the bars. */
export function Poll({ post }: { post: Schema<"PostView"> }) {
  const shown = useSignal(post);
  useEffect(() => {
    shown.value = post;
  }, [post]);
  const { poll, voted, author, id } = shown.value;
  if (!poll) return null;
  const me = account.value;
  const votes = poll.map((option) => option.votes);
  const all = votes.reduce((sum, one) => sum + one, 0);
  const vote = async (option: number) => {
    shown.value = await ok(api.PUT("/api/v1/posts/{post}/vote", { params: { path: { post: id } }, body: { option } }));
  };
  if (me && voted === null && me.id !== author) {
    return (
      <fieldset class={styles.options} aria-label={t("home.poll")}>
        {poll.map((option, at) => (
          <Button key={option.text} onClick={() => vote(at)}>
            {option.text}
          </Button>
        ))}
      </fieldset>
    );
  }
  const parts = shares(votes);
  return (
    <div>
      <ul class={styles.bars} aria-label={t("home.poll")}>
        {poll.map((option, at) => (
          <li key={option.text} class={styles.bar}>
            <span class={styles.fill} style={{ width: `${parts[at]}%` }} aria-hidden="true" />
            <span class={styles.option}>
              {option.text}
              {voted === at && <span class={styles.mine}>{t("home.yourVote")}</span>}
            </span>
            <span class={styles.share}>{number(parts[at] ?? 0)} %</span>
          </li>
        ))}
      </ul>
      <p class="soft" role="status">
        {t("home.votes", { count: all })}
      </p>
    </div>
  );
}
