// A subscription that keeps what comes.

import type { Session } from "@/live/wire/session";
import { hex } from "./bytes-for-tests";

export interface Log {
  objects: [group: number, object: number, timestamp: number, payload: string, datagram: boolean][];
  accepted: number;
  ended: (string | null)[];
}

export function subscribed(session: Session, track: string): Log {
  const log: Log = { objects: [], accepted: 0, ended: [] };
  session.subscribe(["spaces", "demo"], track, {
    onAccepted: () => {
      log.accepted += 1;
    },
    onObject: ({ group, object, timestamp, payload, datagram }) =>
      log.objects.push([group, object, timestamp, hex(payload), datagram]),
    onEnd: (error) => log.ended.push(error instanceof Error ? error.message : null),
  });
  return log;
}
