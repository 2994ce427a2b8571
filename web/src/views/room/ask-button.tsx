import { Hand, Mic } from "lucide";
import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import { relative, t } from "@/i18n";
import { usePolling } from "@/parts/use-polling";
import { Button } from "@/ui/button";
import { LinkButton } from "@/ui/link-button";
import styles from "./bar.module.css";
import { useRoom } from "./room-context";
import { useNow } from "./use-now";

/** How often who waits asks for the place in the queue: others' requests are not told to them. */
const PLACE_MS = 10_000;

/** For who listens: ask to speak, wait, think better of it; or take the mic where one may. */
export function AskButton() {
  const { session } = useRoom();
  const state = session.state.value;
  if (!state) return null;
  if (session.me === null) {
    return (
      <Note text={t("room.guestHint")}>
        <LinkButton href={`/sign-in?next=/s/${state.id}`}>{t("room.signInToTakePart")}</LinkButton>
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
  if (state.you.requested) return <Waiting />;
  if (state.speak === "everyone" || state.you.may_take_mic) {
    return (
      <Note text={t("room.mayTakeHint")}>
        <Button kind="primary" icon={Mic} onClick={() => session.takeMic()}>
          {t("room.takeMic")}
        </Button>
      </Note>
    );
  }
  if (!state.requests_open) return <Note text={t("room.requestsClosed")} />;
  return (
    <Note text={t(state.speak === "followed" ? "room.followedHint" : "room.listeningHint")}>
      <Button kind="primary" icon={Hand} onClick={() => session.raiseHand(true)}>
        {t("room.askToSpeak")}
      </Button>
    </Note>
  );
}

function Waiting() {
  const { session } = useRoom();
  const now = useNow(15_000);
  const you = session.state.value?.you;
  useEffect(() => void session.feed.reload(), []);
  usePolling(() => session.feed.reload(), PLACE_MS);
  if (!you?.requested) return null;
  const since = t("room.askedSince", { since: relative(you.requested, now.value) });
  return (
    <Note text={`${since} ${place(you.ahead)}`}>
      <Button icon={Hand} aria-pressed onClick={() => session.raiseHand(false)}>
        {t("room.withdraw")}
      </Button>
      <span class="visually-hidden" role="status">
        {place(you.ahead)}
      </span>
    </Note>
  );
}

function place(ahead: number | null): string {
  if (ahead === null) return "";
  return ahead === 0 ? t("room.askedNext") : t("room.askedBefore", { count: ahead });
}

function Note({ text, children }: { text: string; children?: ComponentChildren }) {
  return (
    <div class={styles.mic}>
      {children}
      <span class={styles.hint}>{text}</span>
    </div>
  );
}
