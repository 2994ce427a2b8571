import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { api, ok, type Schema } from "@/api/client";
import { t } from "@/i18n";
import { Button } from "@/ui/button";
import { Empty, Failed, Loading } from "@/ui/states";
import { useLoaded } from "@/ui/use-loaded";
import { ClipPlayer } from "./clip-player";
import styles from "./clips.module.css";

/** `/s/:space/clips`: a Space's clips, newest first. */
export default function Clips({ space }: { space: string }) {
  const path = { params: { path: { space } } };
  const more = useSignal<Schema<"ClipView">[]>([]);
  const next = useSignal<string | null>(null);
  const { value, error, again } = useLoaded(async () => {
    const page = await ok(api.GET("/api/v1/spaces/{space}/clips", path));
    more.value = [];
    next.value = page.next;
    return page.data;
  }, [space]);
  const clips = [...(value.value ?? []), ...more.value];
  const making = clips.some(({ status }) => status === "processing");
  useEffect(() => {
    if (!making) return;
    const timer = setInterval(again, 2_000);
    return () => clearInterval(timer);
  }, [making]);
  const loadMore = async () => {
    const page = await ok(
      api.GET("/api/v1/spaces/{space}/clips", { params: { path: { space }, query: { cursor: next.value } } }),
    );
    more.value = [...more.value, ...page.data];
    next.value = page.next;
  };
  return (
    <section class={styles.clips}>
      <header class="spread">
        <h1>{t("replay.clipsOf")}</h1>
        <a href={`/s/${space}`}>{t("replay.toSpace")}</a>
      </header>
      {error.value ? (
        <Failed error={error.value} onRetry={again} />
      ) : !value.value ? (
        <Loading />
      ) : clips.length === 0 ? (
        <Empty title={t("replay.noClips")} />
      ) : (
        <ul class={styles.list}>
          {clips.map((clip) => (
            <li key={clip.clip}>
              <ClipPlayer clip={clip} onGone={again} />
            </li>
          ))}
        </ul>
      )}
      {next.value && <Button onClick={loadMore}>{t("common.loadMore")}</Button>}
    </section>
  );
}
