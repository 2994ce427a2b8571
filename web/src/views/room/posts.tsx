import { BarChart3, ExternalLink, Pin, PinOff } from "lucide";
import { useEffect } from "preact/hooks";
import { api, ok, type Schema } from "@/api/client";
import { relative, t } from "@/i18n";
import { profile } from "@/state/profiles";
import { hosts, onStage } from "@/state/space";
import { Avatar } from "@/ui/avatar";
import { Button } from "@/ui/button";
import { Icon } from "@/ui/icon";
import { Empty } from "@/ui/states";
import { useLoaded } from "@/ui/use-loaded";
import { PollCard } from "./poll";
import styles from "./posts.module.css";
import { showPanel, useRoom } from "./room-context";

type Post = Schema<"PostView">;

/** What is pinned, as posts; asked for again when something is pinned or unpinned. */
function usePinned(): readonly Post[] {
  const { session } = useRoom();
  const pinned = session.state.value?.pinned ?? [];
  const loaded = useLoaded(
    () => ok(api.GET("/api/v1/spaces/{space}/posts", { params: { path: { space: session.space } } })),
    [session.space],
  );
  const ids = pinned.map((pin) => pin.post).join();
  useEffect(() => {
    if (ids) void loaded.again();
  }, [ids]);
  const known = new Map((loaded.value.value?.data ?? []).map((post) => [post.id, post]));
  return pinned.flatMap((pin) => known.get(pin.post) ?? []).reverse();
}

/** What is pinned, a line each, over the stage. */
export function Pins() {
  const room = useRoom();
  const posts = usePinned();
  if (posts.length === 0) return null;
  return (
    <ul class={styles.pins} aria-label={t("room.posts")}>
      {posts.map((post) => (
        <PinLine key={post.id} post={post} onOpen={() => showPanel(room, "posts")} />
      ))}
    </ul>
  );
}

function PinLine({ post, onOpen }: { post: Post; onOpen: () => void }) {
  const author = profile(post.author).value;
  return (
    <li>
      <button type="button" class={styles.pin} onClick={onOpen}>
        <Icon of={Pin} size={16} />
        <span class="ellipsis">
          <strong>{author?.name ?? "…"}</strong> {post.text || post.link?.replace(/^https?:\/\//, "")}
        </span>
      </button>
    </li>
  );
}

/** The poll that is open now, under the stage. */
export function OpenPoll() {
  const { session } = useRoom();
  const poll = session.state.value?.polls.find((one) => !one.closed);
  return poll ? <PollCard key={poll.poll} poll={poll} /> : null;
}

/** All pinned posts and polls; ways to add some. */
export function PostsPanel() {
  const { session, open } = useRoom();
  const posts = usePinned();
  const state = session.state.value;
  if (!state) return null;
  const polls = [...state.polls].reverse();
  return (
    <div class={styles.panel}>
      {onStage(state.you.role) && (
        <div class={styles.add}>
          <Button
            icon={Pin}
            onClick={() => {
              open.value = { kind: "pin" };
            }}
          >
            {t("room.pin")}
          </Button>
          {hosts(state.you.role) && (
            <Button
              icon={BarChart3}
              disabled={polls.some((poll) => !poll.closed)}
              onClick={() => {
                open.value = { kind: "poll" };
              }}
            >
              {t("room.newPoll")}
            </Button>
          )}
        </div>
      )}
      {posts.length + polls.length === 0 && <Empty title={t("room.nothingPinned")} />}
      {polls.map((poll) => (
        <PollCard key={poll.poll} poll={poll} />
      ))}
      {posts.map((post) => (
        <PostCard key={post.id} post={post} />
      ))}
    </div>
  );
}

function PostCard({ post }: { post: Post }) {
  const { session } = useRoom();
  const state = session.state.value;
  const author = profile(post.author).value;
  const pin = state?.pinned.find((one) => one.post === post.id);
  if (!state) return null;
  const mayUnpin = hosts(state.you.role) || (onStage(state.you.role) && pin?.by === session.me);
  return (
    <article class={styles.post}>
      <p class={styles.author}>
        <Avatar of={author} size={24} />
        <strong class="ellipsis">{author?.name ?? "…"}</strong>
        <span class="soft">{relative(post.created)}</span>
        <span class="grow" />
        {mayUnpin ? (
          <Button
            kind="quiet"
            small
            icon={PinOff}
            label={t("room.unpin")}
            onClick={() =>
              ok(
                api.DELETE("/api/v1/spaces/{space}/posts/{post}", {
                  params: { path: { space: state.id, post: post.id } },
                }),
              )
            }
          />
        ) : (
          <Icon of={Pin} size={16} label={t("room.pinned")} />
        )}
      </p>
      {post.text && <p class={styles.text}>{post.text}</p>}
      {post.link && (
        <a class={styles.link} href={post.link} target="_blank" rel="noopener noreferrer nofollow">
          <Icon of={ExternalLink} size={16} />
          <span class="ellipsis">{post.link.replace(/^https?:\/\//, "")}</span>
        </a>
      )}
    </article>
  );
}
