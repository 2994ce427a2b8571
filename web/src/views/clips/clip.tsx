import { useEffect } from "preact/hooks";
import { useLocation } from "preact-iso";
import { api, ok } from "@/api/client";
import { t } from "@/i18n";
import { Failed, Loading } from "@/ui/states";
import { useLoaded } from "@/ui/use-loaded";
import { ClipPlayer } from "./clip-player";
import styles from "./clips.module.css";

/** `/s/:space/clips/:clip`: one clip, where its shared link leads. */
export default function ClipPage({ space, clip }: { space: string; clip: string }) {
  const { route } = useLocation();
  const { value, error, again } = useLoaded(
    () => ok(api.GET("/api/v1/spaces/{space}/clips/{clip}", { params: { path: { space, clip: Number(clip) } } })),
    [space, clip],
  );
  const found = value.value;
  useEffect(() => {
    if (found?.status !== "processing") return;
    const timer = setInterval(again, 1_000);
    return () => clearInterval(timer);
  }, [found?.status]);
  return (
    <section class={styles.clips}>
      <h1 class="visually-hidden">{t("replay.clips")}</h1>
      {error.value ? (
        <Failed error={error.value} onRetry={again} />
      ) : found ? (
        <ClipPlayer clip={found} onGone={() => route(`/s/${space}/clips`)} />
      ) : (
        <Loading />
      )}
      <p class="row">
        <a href={`/s/${space}`}>{t("replay.toSpace")}</a>
        <a href={`/s/${space}/clips`}>{t("replay.allClips")}</a>
      </p>
    </section>
  );
}
