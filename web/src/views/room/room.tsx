import { lazy, Suspense } from "preact/compat";
import { useCallback, useEffect, useMemo } from "preact/hooks";
import { t } from "@/i18n";
import { ClipDialog } from "@/parts/clip-dialog";
import { ReportDialog } from "@/parts/report-dialog";
import { limits, loadLimits } from "@/state/limits";
import { onStage } from "@/state/space";
import { explain } from "@/ui/errors";
import { toast } from "@/ui/toast";
import { Bar } from "./bar";
import { Calls } from "./calls";
import { CaptionStrip, useCaptions } from "./captions";
import { toggleMic } from "./consent";
import { RoomHeader } from "./header";
import { PanelSheet, SidePanel } from "./panel";
import { OpenPoll, Pins } from "./posts";
import { ReactionRain } from "./reaction-rain";
import styles from "./room.module.css";
import { makeRoom, RoomContext, type Room as RoomParts, showPanel, useRoom } from "./room-context";
import type { RoomSession } from "./session";
import { type Shortcut, useShortcuts } from "./shortcuts";
import { Stage } from "./stage";

const PersonDialog = lazy(() => import("./person-dialog"));
const QualityDialog = lazy(() => import("./quality-dialog"));
const DevicesDialog = lazy(() => import("./devices-dialog"));
const HelpDialog = lazy(() => import("./help-dialog"));
const LeaveDialog = lazy(() => import("./leave-dialog"));
const ConsentDialog = lazy(() => import("./consent"));
const HostDialog = lazy(() => import("./host/host-dialog"));
const PollDialog = lazy(() => import("./host/poll-dialog"));
const PinDialog = lazy(() => import("./host/pin-dialog"));
const InviteDialog = lazy(() => import("./host/invite-dialog"));

/** The live room: who speaks, who listens, and what one can do. */
export function Room({ session }: { session: RoomSession }) {
  const room = useMemo(() => makeRoom(session), [session]);
  useEffect(() => {
    // Without them what they bound is refused by the server, in its words.
    loadLimits().catch(() => {});
  }, []);
  const follow = useCallback(
    (shortcut: Shortcut) => {
      act(room, shortcut).catch((error) => toast(explain(error), "warn"));
    },
    [room],
  );
  useShortcuts(follow);
  return (
    <RoomContext.Provider value={room}>
      <Layout />
      <Dialogs />
    </RoomContext.Provider>
  );
}

function Layout() {
  const { session } = useRoom();
  const lines = useCaptions();
  const title = session.state.value?.title ?? "";
  return (
    <div class={styles.room} data-testid="room">
      <div class={styles.main}>
        <RoomHeader />
        <div class={styles.scroll}>
          <Pins />
          <Stage />
          <OpenPoll />
        </div>
        <div class={styles.foot}>
          <CaptionStrip lines={lines} />
          <Calls />
          <Bar />
        </div>
        <ReactionRain />
      </div>
      <aside class={styles.side} aria-label={t("room.panelsOf", { title })} data-scroller>
        <SidePanel lines={lines} />
      </aside>
      <PanelSheet lines={lines} />
    </div>
  );
}

function Dialogs() {
  const { session, open } = useRoom();
  const shown = open.value;
  const close = () => {
    open.value = null;
  };
  if (!shown) return null;
  return (
    <Suspense fallback={null}>
      {shown.kind === "person" && <PersonDialog key={shown.account} account={shown.account} />}
      {shown.kind === "quality" && <QualityDialog />}
      {shown.kind === "devices" && <DevicesDialog />}
      {shown.kind === "help" && <HelpDialog />}
      {shown.kind === "leave" && <LeaveDialog />}
      {shown.kind === "consent" && <ConsentDialog />}
      {shown.kind === "host" && <HostDialog />}
      {shown.kind === "poll" && <PollDialog />}
      {shown.kind === "pin" && <PinDialog />}
      {shown.kind === "invite" && <InviteDialog />}
      {shown.kind === "report" && <ReportDialog of={shown.of} onClose={close} />}
      {shown.kind === "clip" && (
        <ClipDialog
          space={session.space}
          title={session.state.value?.title ?? ""}
          open
          endMs={shown.endMs}
          longestMs={limits.value?.clip_ms}
          onClose={close}
        />
      )}
    </Suspense>
  );
}

async function act(room: RoomParts, shortcut: Shortcut): Promise<void> {
  const { session, open, captions } = room;
  const state = session.state.peek();
  if (!state) return;
  switch (shortcut) {
    case "mic":
      return onStage(state.you.role) ? toggleMic(room) : undefined;
    case "hand": {
      if (session.me === null || session.anonymous.peek() || onStage(state.you.role)) return;
      await session.raiseHand(!state.you.requested);
      toast(t(state.you.requested ? "room.handDown" : "room.handUp"));
      return;
    }
    case "captions":
      if (!state.captions) return;
      captions.value = !captions.value;
      toast(t(captions.value ? "room.captionsShown" : "room.captionsHidden"));
      return;
    case "people":
      showPanel(room, "people");
      return;
    case "help":
      open.value = { kind: "help" };
  }
}
