// What waits for an answer, above the bar: invitations, a request to unmute, sound that the browser holds back; and what
// is wrong with the connection, said calmly.

import { Mic, MicOff, UserPlus, Volume2, WifiOff } from "lucide";
import type { ComponentChildren } from "preact";
import { api, ok } from "@/api/client";
import { relative, t } from "@/i18n";
import { profile } from "@/state/profiles";
import { Button } from "@/ui/button";
import { Icon } from "@/ui/icon";
import styles from "./calls.module.css";
import { toggleMic } from "./consent";
import { useRoom } from "./room-context";
import { useNow } from "./use-now";

export function Calls() {
  const { session } = useRoom();
  const audio = session.audio.value;
  const state = session.state.value;
  const now = useNow(15_000);
  if (!state) return null;
  const phase = audio?.phase.value;
  const { invited } = state.you;
  const expired = invited?.expires != null && Date.parse(invited.expires) < now.value;
  return (
    <div class={styles.calls} role="status">
      {phase === "blocked" && (
        <Call icon={Volume2} text={t("room.soundBlocked")} strong>
          <Button kind="primary" onClick={() => audio?.resume()}>
            {t("room.playSound")}
          </Button>
        </Call>
      )}
      {audio?.paused.value && phase !== "blocked" && (
        <Call icon={Volume2} text={t("room.soundPaused")} strong>
          <Button kind="primary" onClick={() => audio.resume()}>
            {t("room.playSound")}
          </Button>
        </Call>
      )}
      {phase === "connecting" && <Call icon={Volume2} text={t("room.connecting")} />}
      {phase === "reconnecting" && <Call icon={WifiOff} text={t("room.soundReconnecting")} />}
      {session.feed.lost.value && phase !== "reconnecting" && <Call icon={WifiOff} text={t("room.eventsLost")} />}
      {state.hostlessUntil && (
        <Call icon={WifiOff} text={t("room.hostlessUntil", { when: relative(state.hostlessUntil, now.value) })} />
      )}
      {invited && !expired && <Invitation />}
      {session.askedBy.value && <AskedToUnmute by={session.askedBy.value} />}
    </div>
  );
}

function Invitation() {
  const { session } = useRoom();
  const state = session.state.value;
  const invited = state?.you.invited;
  if (!state || !invited) return null;
  const at = { params: { path: { space: state.id } } };
  const cohost = invited.role === "cohost";
  const name = (invited.by && profile(invited.by).value?.name) || t("room.theHost");
  return (
    <Call icon={UserPlus} text={t(cohost ? "room.invitedCohost" : "room.invitedSpeak", { name })} strong>
      <Button onClick={() => ok(api.POST("/api/v1/spaces/{space}/invite/decline", at))}>{t("room.decline")}</Button>
      <Button
        kind="primary"
        onClick={() => (cohost ? ok(api.POST("/api/v1/spaces/{space}/cohost/accept", at)) : session.takeMic())}
      >
        {t(cohost ? "room.acceptCohost" : "room.acceptSpeak")}
      </Button>
    </Call>
  );
}

function AskedToUnmute({ by }: { by: string }) {
  const room = useRoom();
  const { session } = room;
  const name = profile(by).value?.name ?? t("room.theHost");
  return (
    <Call icon={Mic} text={t("room.askedToUnmute", { name })} strong>
      <Button
        icon={MicOff}
        onClick={() => {
          session.askedBy.value = null;
        }}
      >
        {t("room.stayMuted")}
      </Button>
      <Button kind="primary" icon={Mic} onClick={() => toggleMic(room)}>
        {t("room.unmute")}
      </Button>
    </Call>
  );
}

interface CallProps {
  icon: Parameters<typeof Icon>[0]["of"];
  text: string;
  strong?: boolean;
  children?: ComponentChildren;
}

function Call({ icon, text, strong, children }: CallProps) {
  return (
    <div class={styles.call} data-strong={strong || undefined}>
      <Icon of={icon} size={22} />
      <p class="grow">{text}</p>
      {children && <div class={styles.buttons}>{children}</div>}
    </div>
  );
}
