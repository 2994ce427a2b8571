// `/s/:space`: what a Space is to whoever opens it, by its status: a card before the start, the door and the live room,
// its replay when it is over.

import { useSignal } from "@preact/signals";
import { lazy, Suspense } from "preact/compat";
import { useEffect } from "preact/hooks";
import { useLocation } from "preact-iso";
import { t } from "@/i18n";
import { account } from "@/state/session";
import { Button } from "@/ui/button";
import { Empty, Failed, Loading } from "@/ui/states";
import { Lobby } from "../room/lobby";
import { PreJoin } from "../room/pre-join";
import { current, RoomSession } from "../room/session";

const Room = lazy(() => import("../room/room").then((module) => module.Room));
const Replay = lazy(() => import("../replay/replay"));

export default function SpaceView({ space }: { space: string }) {
  const session = useSession(space);
  if (!session) return <Loading />;
  return <Chosen key={space} session={session} />;
}

/** The session of this Space: the one that plays already, or a new one that ends with the view unless it plays then. */
function useSession(space: string): RoomSession | null {
  const session = useSignal<RoomSession | null>(null);
  const me = account.value;
  useEffect(() => {
    // Whom the server takes us for decides what it shows: wait until that is known.
    if (me === undefined) return;
    const playing = current.peek();
    const mine = playing?.space === space ? playing : new RoomSession(space, me?.id ?? null);
    session.value = mine;
    const back = mine.returning;
    if (back && mine.stay.peek() === "outside") void mine.join(back.anonymous).catch(() => {});
    return () => {
      if (current.peek() !== mine) mine.close();
    };
  }, [space, me === undefined ? undefined : (me?.id ?? null)]);
  return session.value?.space === space ? session.value : null;
}

function Chosen({ session }: { session: RoomSession }) {
  const state = session.state.value;
  const stay = session.stay.value;
  const title = state?.title;
  useEffect(() => {
    if (title) document.title = `${title} · ${t("common.appName")}`;
    return () => {
      document.title = t("common.appName");
    };
  }, [title]);
  if (session.feed.error.value) return <Failed error={session.feed.error.value} onRetry={session.feed.reload} />;
  if (!state) return <Loading />;
  if (stay === "out") return <Out session={session} />;
  switch (state.status) {
    case "lobby":
    case "scheduled":
      return <Lobby session={session} />;
    case "live":
      if (stay === "left") return <Left session={session} />;
      if (stay === "inside" || (stay === "joining" && session.audio.value)) {
        return (
          <Suspense fallback={<Loading />}>
            <Room session={session} />
          </Suspense>
        );
      }
      return <PreJoin session={session} />;
    case "ended":
      return (
        <Suspense fallback={<Loading />}>
          <Replay space={state.id} />
        </Suspense>
      );
    default:
      return <Empty title={t("room.canceled")} />;
  }
}

/** We were put out, or the server wants us no more. */
function Out({ session }: { session: RoomSession }) {
  const { route } = useLocation();
  return (
    <Empty title={session.refusal.value ?? t("room.outRemoved")}>
      <Button onClick={() => route("/")}>{t("common.home")}</Button>
    </Empty>
  );
}

function Left({ session }: { session: RoomSession }) {
  const { route } = useLocation();
  return (
    <Empty title={t("room.youLeft")}>
      <div class="row">
        <Button
          onClick={() => {
            session.stay.value = "outside";
          }}
        >
          {t("room.backIn")}
        </Button>
        <Button kind="primary" onClick={() => route("/")}>
          {t("common.home")}
        </Button>
      </div>
    </Empty>
  );
}
