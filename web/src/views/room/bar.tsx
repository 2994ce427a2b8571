import { Captions, Scissors, Share2, Users } from "lucide";
import { t } from "@/i18n";
import { share } from "@/parts/share";
import { serverNow } from "@/state/server-clock";
import { hosts, named, onStage } from "@/state/space";
import { Button } from "@/ui/button";
import { Icon } from "@/ui/icon";
import { AskButton } from "./ask-button";
import styles from "./bar.module.css";
import { MicButton } from "./mic-button";
import { ReactButton } from "./react-button";
import { showPanel, useRoom } from "./room-context";

/** What one can do, within a thumb's reach. */
export function Bar() {
  const room = useRoom();
  const { session, open, captions } = room;
  const state = session.state.value;
  if (!state) return null;
  const { role } = state.you;
  const waiting = hosts(role) ? state.queue.length : 0;
  return (
    <section class={styles.bar} aria-label={t("room.controls")}>
      {onStage(role) ? <MicButton /> : <AskButton />}
      <div class={styles.tools}>
        {named(role) && !session.anonymous.value && <ReactButton />}
        <Tool
          icon={Users}
          label={t("room.people")}
          count={waiting}
          countLabel={t("room.waiting", { count: waiting })}
          narrow
          onClick={() => showPanel(room, "people")}
        />
        {state.captions && (
          <Tool
            icon={Captions}
            label={t("room.captions")}
            pressed={captions.value}
            onClick={() => {
              captions.value = !captions.value;
            }}
          />
        )}
        {state.clips && named(role) && !session.anonymous.value && (
          <Tool
            icon={Scissors}
            label={t("room.clip")}
            onClick={() => {
              if (!state.started) return;
              open.value = { kind: "clip", endMs: Math.max(0, serverNow() - Date.parse(state.started)) };
            }}
          />
        )}
        <Tool icon={Share2} label={t("replay.share")} spare onClick={() => share(`/s/${state.id}`, state.title)} />
      </div>
    </section>
  );
}

interface ToolProps {
  icon: Parameters<typeof Icon>[0]["of"];
  label: string;
  pressed?: boolean;
  count?: number;
  countLabel?: string;
  /** Only where the side panel is not beside the stage. */
  narrow?: boolean;
  /** Is in the menu, too: left out where there is little room. */
  spare?: boolean;
  onClick: () => unknown;
}

function Tool({ icon, label, pressed, count = 0, countLabel, narrow, spare, onClick }: ToolProps) {
  return (
    <span class={narrow ? styles.narrow : spare ? styles.spare : undefined}>
      <Button
        kind="quiet"
        class={styles.tool}
        aria-pressed={pressed}
        aria-label={count > 0 ? `${label}, ${countLabel}` : label}
        title={label}
        onClick={onClick}
      >
        <Icon of={icon} size={22} />
        {count > 0 && (
          <span class={styles.badge} aria-hidden="true">
            {count}
          </span>
        )}
      </Button>
    </span>
  );
}
