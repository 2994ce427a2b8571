import { Hand, Mic } from "lucide";
import { api, ok } from "@/api/client";
import { relative, t } from "@/i18n";
import { Button } from "@/ui/button";
import styles from "./bar.module.css";
import { useRoom } from "./room-context";
import { useNow } from "./use-now";

/** For who listens: ask to speak, wait, think better of it; or take the mic where one may. */
export function AskButton() {
  const { session } = useRoom();
  const state = session.state.value;
  const now = useNow(15_000);
  if (!state) return null;
  const at = { params: { path: { space: state.id } } };
  if (session.me === null) {
    return (
      <Note text={t("room.guestHint")}>
        <a href={`/sign-in?next=/s/${state.id}`}>{t("room.signInToTakePart")}</a>
      </Note>
    );
  }
  if (session.anonymous.value) {
    return (
      <Note text={t("room.anonymousHint")}>
        <Button
          onClick={async () => {
            await session.leave();
            await session.join(false);
          }}
        >
          {t("room.rejoinNamed")}
        </Button>
      </Note>
    );
  }
  const { requested } = state.you;
  if (requested) {
    const back = () => session.feed.suppose({ you: { ...state.you, requested: null } });
    return (
      <Note text={t("room.askedSince", { since: relative(requested, now.value) })} live>
        <Button
          icon={Hand}
          aria-pressed
          onClick={async () => {
            const undo = back();
            await ok(api.DELETE("/api/v1/spaces/{space}/request", at)).catch((error) => {
              undo();
              throw error;
            });
          }}
        >
          {t("room.withdraw")}
        </Button>
      </Note>
    );
  }
  const mayTake = state.speak === "everyone" || state.you.may_take_mic;
  if (mayTake) {
    return (
      <Note text={t("room.mayTakeHint")}>
        <Button kind="primary" icon={Mic} onClick={() => ok(api.PUT("/api/v1/spaces/{space}/mic", at))}>
          {t("room.takeMic")}
        </Button>
      </Note>
    );
  }
  if (!state.requests_open) return <Note text={t("room.requestsClosed")} />;
  return (
    <Note text={state.speak === "followed" ? t("room.followedHint") : t("room.listeningHint")}>
      <Button
        kind="primary"
        icon={Hand}
        onClick={async () => {
          const undo = session.feed.suppose({ you: { ...state.you, requested: new Date().toISOString() } });
          await ok(api.PUT("/api/v1/spaces/{space}/request", at)).catch((error) => {
            undo();
            throw error;
          });
        }}
      >
        {t("room.askToSpeak")}
      </Button>
    </Note>
  );
}

function Note({ text, live, children }: { text: string; live?: boolean; children?: preact.ComponentChildren }) {
  return (
    <div class={styles.mic}>
      {children}
      <span class={styles.hint} role={live ? "status" : undefined}>
        {text}
      </span>
    </div>
  );
}
