import { api, ok } from "@/api/client";
import { dateTime, relative, t } from "@/i18n";
import { usePaged } from "@/parts/paged";
import { PagedList } from "@/parts/paged-list";
import { PersonLink } from "@/parts/people";
import { profile } from "@/state/profiles";
import { Avatar } from "@/ui/avatar";
import { LinkButton } from "@/ui/link-button";
import { Empty } from "@/ui/states";
import styles from "./notifications.module.css";

/** Direct messages: mostly invitations to a Space. */
export function Messages() {
  const messages = usePaged(
    (cursor) => ok(api.GET("/api/v1/me/messages", { params: { query: { limit: 30, cursor } } })),
    (one) => one.id,
    [],
  );
  return (
    <PagedList
      of={messages}
      id={(one) => one.id}
      label={t("told.messages")}
      look="rows"
      empty={<Empty title={t("told.noMessages")} />}
      render={(one) => (
        <article class={styles.message}>
          <Avatar of={profile(one.by).value} size={44} />
          <div class="grow">
            <p>
              <PersonLink id={one.by} />{" "}
              <time class={styles.time} dateTime={one.created} title={dateTime(one.created)}>
                {relative(one.created)}
              </time>
            </p>
            <p class={styles.words}>{one.text}</p>
            {one.space && (
              <LinkButton small href={`/s/${one.space}`}>
                {t("told.invitesYou")}
              </LinkButton>
            )}
          </div>
        </article>
      )}
    />
  );
}
