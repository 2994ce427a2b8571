import { api, ok, type Schema } from "@/api/client";
import { t } from "@/i18n";
import { usePaged } from "@/parts/paged";
import { PagedList } from "@/parts/paged-list";
import { account as session } from "@/state/session";
import { Empty } from "@/ui/states";
import { Compose } from "./compose";
import { PostCard } from "./post-card";

const idOf = (post: Schema<"PostView">) => post.id;

/** Somebody's posts, the latest first; one's own with a place to write. */
export function AccountPosts({ account }: { account: string }) {
  const posts = usePaged(
    (cursor) => ok(api.GET("/api/v1/accounts/{account}/posts", { params: { path: { account }, query: { cursor } } })),
    idOf,
    [account],
  );
  const mine = session.value?.id === account;
  return (
    <div class="stack">
      {mine && <Compose onWritten={posts.again} />}
      <PagedList
        of={posts}
        id={idOf}
        label={t("home.profile_posts")}
        render={(post) => <PostCard post={post} onGone={posts.again} />}
        empty={<Empty title={t(mine ? "home.youNoPosts" : "home.noPosts")} />}
      />
    </div>
  );
}
