import { t } from "@/i18n";
import type { CaptionLine } from "@/live/live-audio";
import { Dialog } from "@/ui/dialog";
import { Tabs } from "@/ui/tabs";
import { CaptionsPanel } from "./captions";
import { PeoplePanel } from "./people-panel";
import { PostsPanel } from "./posts";
import { type Panel, useRoom } from "./room-context";

/** People, captions, posts: beside the stage where there is room, else as a sheet. */
export function SidePanel({ lines }: { lines: readonly CaptionLine[] }) {
  const { session, panel } = useRoom();
  const state = session.state.value;
  const waiting = state?.queue.length ?? 0;
  const tabs: [Panel, string][] = [
    ["people", waiting > 0 ? t("room.peopleWaiting", { count: waiting }) : t("room.people")],
    ["posts", t("room.posts")],
    ["captions", t("room.captions")],
  ];
  return (
    <Tabs
      label={t("room.panels")}
      tabs={tabs}
      chosen={panel.value}
      onChoose={(tab) => {
        panel.value = tab;
      }}
    >
      {panel.value === "people" && <PeoplePanel />}
      {panel.value === "posts" && <PostsPanel />}
      {panel.value === "captions" && <CaptionsPanel lines={lines} />}
    </Tabs>
  );
}

export function PanelSheet({ lines }: { lines: readonly CaptionLine[] }) {
  const { open, session } = useRoom();
  return (
    <Dialog
      title={session.state.value?.title || t("room.untitled")}
      sheet
      open={open.value?.kind === "panel"}
      onClose={() => {
        open.value = null;
      }}
    >
      <div>
        <SidePanel lines={lines} />
      </div>
    </Dialog>
  );
}
