import { useComputed } from "@preact/signals";
import { ChevronDown, CircleHelp, Flag, Link2, SlidersHorizontal, Volume2 } from "lucide";
import { useLocation } from "preact-iso";
import { clock, number, t } from "@/i18n";
import { share } from "@/parts/share";
import { TopicChips } from "@/parts/topic-chips";
import { hosts } from "@/state/space";
import { Button } from "@/ui/button";
import { Menu } from "@/ui/menu";
import { Bars } from "./bars";
import styles from "./header.module.css";
import { showPanel, useRoom } from "./room-context";
import { useNow } from "./use-now";

/** Title, what is going on (live, recorded, since when, how many), and the way out. */
export function RoomHeader() {
  const { session, open } = useRoom();
  const { route } = useLocation();
  const state = session.state.value;
  const now = useNow();
  if (!state) return null;
  const title = state.title || t("room.untitled");
  const hosting = hosts(state.you.role);
  return (
    <header class={styles.header}>
      <div class={styles.facts}>
        <Button kind="quiet" icon={ChevronDown} label={t("room.minimise")} onClick={() => route("/")} />
        <span class={styles.live}>{t("common.live")}</span>
        {state.recording && (
          <span class={styles.rec} title={t("room.recordedHint")}>
            <span aria-hidden="true" class={styles.dot} />
            <span aria-hidden="true">{t("room.rec")}</span>
            <span class="visually-hidden">{t("room.recordedHint")}</span>
          </span>
        )}
        <span class={styles.time}>
          <span class="visually-hidden">{t("room.liveFor")}</span>
          {state.started && clock((now.value - Date.parse(state.started)) / 1_000)}
        </span>
        <span class="grow" />
        <QualityButton />
        {hosting && (
          <Button
            kind="quiet"
            icon={SlidersHorizontal}
            label={t("room.hostTools")}
            onClick={() => {
              open.value = { kind: "host" };
            }}
          />
        )}
        <Menu
          label={t("common.more")}
          items={[
            { label: t("replay.share"), icon: Link2, onChoose: () => share(`/s/${state.id}`, title) },
            {
              label: t("room.soundSettings"),
              icon: Volume2,
              onChoose: () => {
                open.value = { kind: "devices" };
              },
            },
            {
              label: t("room.shortcuts"),
              icon: CircleHelp,
              onChoose: () => {
                open.value = { kind: "help" };
              },
            },
            session.me !== null && {
              label: t("people.reportSpace"),
              icon: Flag,
              danger: true,
              onChoose: () => {
                open.value = { kind: "report", of: { kind: "space", space: state.id } };
              },
            },
          ]}
        />
        <Button
          kind="danger"
          onClick={() => {
            if (hosting) open.value = { kind: "leave" };
            else return session.leave();
          }}
        >
          {t("room.leave")}
        </Button>
      </div>
      <h1 class={styles.title}>{title}</h1>
      <div class={styles.under}>
        <CountsLine />
        <TopicChips topics={state.topics} />
      </div>
    </header>
  );
}

function CountsLine() {
  const room = useRoom();
  const { session } = room;
  const counts = session.state.value?.counts;
  const stage = session.state.value?.stage.length ?? 0;
  if (!counts) return null;
  const all = counts.named + counts.anonymous + counts.guests;
  const parts = [
    counts.anonymous > 0 && t("room.anonymousCount", { count: counts.anonymous }),
    counts.guests > 0 && t("room.guestCount", { count: counts.guests }),
  ].filter(Boolean);
  return (
    <button
      type="button"
      class={styles.counts}
      title={t("room.countsHint", { stage, listeners: Math.max(0, all - stage) })}
      onClick={() => showPanel(room, "people")}
    >
      <strong>{t("room.peopleHere", { count: all })}</strong>
      {parts.length > 0 && <span class="soft"> · {parts.join(" · ")}</span>}
    </button>
  );
}

function QualityButton() {
  const { session, open } = useRoom();
  const bars = useComputed(() => session.audio.value?.quality.value?.bars ?? null);
  const path = session.audio.value?.path.value;
  const words = bars.value === null ? t("room.qualityUnknown") : t(`room.quality_${bars.value}`);
  const way = path && path !== "webtransport" ? t(`room.pathShort_${path}`) : null;
  const label = t("room.qualityIs", { quality: words, count: number(bars.value ?? 0) });
  return (
    <button
      type="button"
      class={styles.quality}
      data-poor={bars.value !== null && bars.value < 2 ? true : undefined}
      aria-label={way ? `${way}. ${label}` : label}
      title={words}
      onClick={() => {
        open.value = { kind: "quality" };
      }}
    >
      <Bars of={bars.value ?? 0} />
      {way && <span class={styles.path}>{way}</span>}
    </button>
  );
}
