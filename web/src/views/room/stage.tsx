import { useComputed, useSignalEffect } from "@preact/signals";
import { CloudOff, Mic, MicOff } from "lucide";
import { useRef } from "preact/hooks";
import { t } from "@/i18n";
import { profile } from "@/state/profiles";
import type { Seat } from "@/state/space";
import { Avatar } from "@/ui/avatar";
import { Icon } from "@/ui/icon";
import { glow, speaks } from "./level";
import { useRoom } from "./room-context";
import { useRoving } from "./roving";
import styles from "./stage.module.css";

/** Who may speak, with a ring around whoever is heard. Arrow keys move between people, Enter opens one. */
export function Stage() {
  const { session } = useRoom();
  const seats = session.state.value?.stage ?? [];
  const roving = useRoving(seats.map((seat) => seat.account));
  return (
    <ul class={styles.stage} aria-label={t("room.onStage")} onKeyDown={roving.onKeyDown}>
      {seats.map((seat) => (
        <Tile key={seat.account} seat={seat} tabIndex={roving.tabIndex(seat.account)} onFocus={roving.onFocus} />
      ))}
    </ul>
  );
}

interface TileProps {
  seat: Seat;
  tabIndex: number;
  onFocus: (key: string) => void;
}

function Tile({ seat, tabIndex, onFocus }: TileProps) {
  const { session, open } = useRoom();
  const ring = useRef<HTMLSpanElement>(null);
  const who = profile(seat.account).value;
  const own = seat.account === session.me;
  const level = useComputed(() => {
    const audio = session.audio.value;
    if (own) return session.onAir.value ? (audio?.microphone.value.level ?? 127) : 127;
    return audio?.levels.value.get(seat.account) ?? 127;
  });
  const speaking = useComputed(() => speaks(level.value));
  // Twelve times a second: past the components, straight to the style.
  useSignalEffect(() => {
    ring.current?.style.setProperty("--level", glow(level.value).toFixed(2));
  });
  const name = who?.name ?? "…";
  // What is written below the picture comes first, in its order (WCAG 2.2, 2.5.3).
  const marks = [
    seat.blocked && t("room.blocked"),
    t(`room.role_${seat.role as "host" | "cohost" | "speaker"}`),
    own && t("room.you"),
    seat.away ? t("room.away") : seat.muted ? t("room.muted") : t("room.micOn"),
  ].filter(Boolean);
  return (
    <li>
      <button
        type="button"
        class={styles.tile}
        data-key={seat.account}
        data-speaking={speaking.value || undefined}
        data-away={seat.away || undefined}
        tabIndex={tabIndex}
        onFocus={() => onFocus(seat.account)}
        onClick={() => {
          open.value = { kind: "person", account: seat.account };
        }}
        aria-label={`${name}, ${marks.join(", ")}`}
      >
        <span class={styles.ring} ref={ring}>
          <Avatar of={who} size={76} />
          <span class={styles.mark} data-on={(!seat.muted && !seat.away) || undefined}>
            <Icon of={seat.away ? CloudOff : seat.muted ? MicOff : Mic} size={14} />
          </span>
        </span>
        <span class={styles.name}>{name}</span>{" "}
        <span class={styles.role} data-role={seat.role}>
          {seat.blocked ? t("room.blocked") : t(`room.role_${seat.role as "host" | "cohost" | "speaker"}`)}
          {own && ` · ${t("room.you")}`}
        </span>
      </button>
    </li>
  );
}
