import { useSignal } from "@preact/signals";
import { Headphones, Link, MessageCircle, Scissors, Share2, Trash2 } from "lucide";
import { api, ok, type Schema } from "@/api/client";
import { t } from "@/i18n";
import { DateTime } from "@/parts/date-time";
import { nameOf } from "@/parts/people";
import { share } from "@/parts/share";
import { profile } from "@/state/profiles";
import { account } from "@/state/session";
import { Avatar } from "@/ui/avatar";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Icon } from "@/ui/icon";
import { LinkButton } from "@/ui/link-button";
import { Menu } from "@/ui/menu";
import { toast } from "@/ui/toast";
import { Poll } from "./poll";
import styles from "./posts.module.css";

type Post = Schema<"PostView">;

interface Props {
  post: Post;
  /** The post was deleted. */
  onGone: () => unknown;
  /** On its own page: no link to itself. */
  alone?: boolean;
  /** Below what it answers: that need not be said. */
  below?: boolean;
}

/** A post: who, what, a link, a poll, a clip or Space that it is about. */
export function PostCard({ post, onGone, alone, below }: Props) {
  const author = profile(post.author).value;
  const asking = useSignal(false);
  const close = () => {
    asking.value = false;
  };
  const remove = async () => {
    await ok(api.DELETE("/api/v1/posts/{post}", { params: { path: { post: post.id } } }));
    toast(t("home.postDeleted"));
    close();
    await onGone();
  };
  return (
    <article class={`card ${styles.post}`} aria-label={t("home.postBy", { name: nameOf(author) })}>
      <header class={styles.by}>
        <a class={styles.author} href={author ? `/@${author.handle}` : undefined}>
          <Avatar of={author} size={40} />
          <span class="ellipsis">
            <strong>{nameOf(author)}</strong> <span class="soft">{author ? `@${author.handle}` : ""}</span>
          </span>
        </a>
        <span class="soft">
          <DateTime at={post.created} from="now" />
        </span>
        {account.value?.id === post.author && (
          <Menu
            label={t("common.more")}
            items={[
              {
                label: t("home.deletePost"),
                icon: Trash2,
                danger: true,
                onChoose: () => {
                  asking.value = true;
                },
              },
            ]}
          />
        )}
      </header>
      {post.reply_to && !alone && !below && (
        <p class="soft">
          <a href={`/posts/${post.reply_to}`}>{t("home.inReply")}</a>
        </p>
      )}
      {post.text && <p class={styles.text}>{post.text}</p>}
      {post.poll && <Poll post={post} />}
      <About post={post} />
      <footer class={styles.foot}>
        {!alone && (
          <LinkButton kind="quiet" small icon={MessageCircle} href={`/posts/${post.id}`}>
            {t("home.comments")}
          </LinkButton>
        )}
        <Button kind="quiet" small icon={Share2} onClick={() => share(`/posts/${post.id}`, post.text.slice(0, 80))}>
          {t("home.share")}
        </Button>
      </footer>
      <Dialog
        title={t("home.deletePostSure")}
        open={asking.value}
        onClose={close}
        actions={
          <>
            <Button onClick={close}>{t("common.cancel")}</Button>
            <Button kind="danger" onClick={remove}>
              {t("home.deletePost")}
            </Button>
          </>
        }
      >
        <p>{t("home.deletePostText")}</p>
      </Dialog>
    </article>
  );
}

/** What a post leads to: a clip, a Space, or a page elsewhere. */
function About({ post }: { post: Post }) {
  if (post.space && post.clip !== null) {
    return (
      <a class={styles.about} href={`/s/${post.space}/clips/${post.clip}`}>
        <Icon of={Scissors} size={18} />
        {t("home.hearClip")}
      </a>
    );
  }
  if (post.space) {
    return (
      <a class={styles.about} href={`/s/${post.space}`}>
        <Icon of={Headphones} size={18} />
        {t("home.openSpace")}
      </a>
    );
  }
  if (!post.link) return null;
  return (
    <a class={styles.about} href={post.link} target="_blank" rel="noopener noreferrer nofollow ugc">
      <Icon of={Link} size={18} />
      <span class="ellipsis">{shownLink(post.link)}</span>
    </a>
  );
}

/** A link without what nobody reads. */
export function shownLink(link: string): string {
  try {
    const url = new URL(link);
    const path = url.pathname === "/" ? "" : url.pathname;
    return `${url.host}${path}`;
  } catch {
    return link;
  }
}
