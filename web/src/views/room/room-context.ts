// What the parts of the live room share: the session, and what is open on the screen.

import { type Signal, signal } from "@preact/signals";
import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { Reported } from "@/parts/report-dialog";
import type { RoomSession } from "./session";

export type Panel = "people" | "captions" | "posts";

/** The dialog that is open, if any. */
export type Open =
  | { kind: "person"; account: string }
  | { kind: "report"; of: Reported }
  | { kind: "clip"; endMs: number }
  | { kind: "host" | "poll" | "pin" | "invite" | "devices" | "quality" | "help" | "leave" | "panel" | "consent" };

export interface Room {
  session: RoomSession;
  panel: Signal<Panel>;
  open: Signal<Open | null>;
  captions: Signal<boolean>;
}

/** The panel stands beside the stage; else it is a sheet. The same width as in room.module.css. */
const beside = () => matchMedia("(min-width: 64.01rem)").matches;

/** Shows a panel, wherever it is. */
export function showPanel({ panel, open }: Room, which: Panel): void {
  panel.value = which;
  if (!beside()) open.value = { kind: "panel" };
}

export const makeRoom = (session: RoomSession): Room => ({
  session,
  panel: signal<Panel>("people"),
  open: signal<Open | null>(null),
  captions: signal(false),
});

export const RoomContext = createContext<Room | null>(null);

/** The room that a part stands in. Throws outside of one. */
export function useRoom(): Room {
  const room = useContext(RoomContext);
  if (!room) throw new Error("not in a room");
  return room;
}
