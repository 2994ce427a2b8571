import { useLocation } from "preact-iso";
import { api, ok, type Schema } from "@/api/client";
import { t } from "@/i18n";
import { PageHead } from "@/parts/page-head";
import { usePaged } from "@/parts/paged";
import { PagedList } from "@/parts/paged-list";
import { Refused } from "@/parts/refused";
import { account } from "@/state/session";
import { LinkButton } from "@/ui/link-button";
import { Empty, Loading } from "@/ui/states";
import { useLoaded } from "@/ui/use-loaded";
import { Compose } from "./compose";
import { PostCard } from "./post-card";
import styles from "./posts.module.css";

const idOf = (post: Schema<"PostView">) => post.id;

/** A post, what it answers, and the comments on it. */
export default function Post({ post }: { post: string }) {
  const { route, url } = useLocation();
  const params = { params: { path: { post } } };
  const found = useLoaded(async () => {
    const one = await ok(api.GET("/api/v1/posts/{post}", params));
    if (!one.reply_to) return { one, above: null };
    // What it answers may be deleted, or not for us: then the answer stands alone.
    const asked = ok(api.GET("/api/v1/posts/{post}", { params: { path: { post: one.reply_to } } }));
    return { one, above: await asked.catch(() => null) };
  }, [post]);
  const replies = usePaged(
    (cursor) =>
      ok(api.GET("/api/v1/posts/{post}/replies", { params: { path: { post }, query: { cursor, limit: 20 } } })),
    idOf,
    [post],
  );
  if (found.error.value) return <Refused page error={found.error.value} onRetry={found.again} />;
  if (!found.value.value) return <Loading />;
  const { one, above } = found.value.value;
  return (
    <div class={styles.page}>
      <PageHead title={t("home.postTitle")} />
      {above && <PostCard post={above} onGone={found.again} />}
      <PostCard post={one} onGone={() => route("/")} alone />
      <section class="stack" aria-labelledby="comments">
        <h2 id="comments">{t("home.comments")}</h2>
        {account.value ? (
          <Compose key={post} replyTo={post} onWritten={replies.again} />
        ) : (
          account.value === null && (
            <p class="spread card">
              {t("home.commentNeedsAccount")}
              <LinkButton href={`/sign-in?next=${encodeURIComponent(url)}`}>{t("common.signIn")}</LinkButton>
            </p>
          )
        )}
        <PagedList
          of={replies}
          id={idOf}
          label={t("home.comments")}
          render={(reply) => <PostCard post={reply} onGone={replies.again} below />}
          empty={<Empty title={t("home.noComments")} />}
        />
      </section>
    </div>
  );
}
