import { useSignal } from "@preact/signals";
import { Link, ListChecks } from "lucide";
import { api, ok } from "@/api/client";
import { t } from "@/i18n";
import { Button } from "@/ui/button";
import { explain } from "@/ui/errors";
import { Field, kept, TextArea } from "@/ui/field";
import styles from "./posts.module.css";

const LONGEST = 1000;
const OPTIONS = { least: 2, most: 4, longest: 100 };

/** A place to write a post, with a link or a poll, or a comment on another. */
export function Compose({ replyTo, onWritten }: { replyTo?: string; onWritten: () => unknown }) {
  const text = useSignal("");
  const link = useSignal<string | null>(null);
  const poll = useSignal<string[] | null>(null);
  const trouble = useSignal<string | null>(null);
  const said = [...text.value].length;
  const options = poll.value?.map((one) => one.trim()).filter(Boolean) ?? [];
  const pollShort = poll.value !== null && options.length < OPTIONS.least;
  const write = async () => {
    trouble.value = pollShort ? t("home.pollShort") : null;
    if (pollShort) return;
    try {
      await ok(
        api.POST("/api/v1/posts", {
          body: { text: text.value, link: link.value?.trim() || null, poll: options, reply_to: replyTo ?? null },
        }),
      );
    } catch (error) {
      trouble.value = explain(error);
      return;
    }
    text.value = "";
    link.value = null;
    poll.value = null;
    await onWritten();
  };
  return (
    <div class={`card ${styles.compose}`}>
      <TextArea
        label={t(replyTo ? "home.writeComment" : "home.writePost")}
        hint={t("home.length", { count: said, most: LONGEST })}
        error={said > LONGEST ? t("home.tooLong", { most: LONGEST }) : trouble.value}
        {...kept(text)}
      />
      {link.value !== null && (
        <Field
          label={t("home.link")}
          type="url"
          placeholder="https://"
          value={link.value}
          onValue={(value) => {
            link.value = value;
          }}
        />
      )}
      {poll.value?.map((option, at) => (
        <Field
          key={at}
          label={t("home.option", { number: at + 1 })}
          maxLength={OPTIONS.longest}
          value={option}
          onValue={(value) => {
            const next = [...(poll.value ?? [])];
            next[at] = value;
            if (at === next.length - 1 && value && next.length < OPTIONS.most) next.push("");
            poll.value = next;
          }}
        />
      ))}
      <div class="spread">
        <span class={styles.tools}>
          {!replyTo && (
            <>
              <Button
                kind="quiet"
                icon={Link}
                label={t("home.addLink")}
                aria-pressed={link.value !== null}
                onClick={() => {
                  link.value = link.value === null ? "" : null;
                }}
              />
              <Button
                kind="quiet"
                icon={ListChecks}
                label={t("home.addPoll")}
                aria-pressed={poll.value !== null}
                onClick={() => {
                  poll.value = poll.value === null ? ["", ""] : null;
                }}
              />
            </>
          )}
        </span>
        <Button kind="primary" disabled={text.value.trim() === "" || said > LONGEST} onClick={write}>
          {t(replyTo ? "home.comment" : "home.post")}
        </Button>
      </div>
    </div>
  );
}
