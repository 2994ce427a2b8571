// What an event means to one person in the room, as one line of text; null for what they see anyway. Pure.

import type { Key } from "@/i18n";
import { hosts, onStage, type SpaceEvent, type SpaceState, seatOf } from "@/state/space";

export interface Notice {
  text: Key;
  /** The account whose name fills `{name}`. */
  name?: string;
  places?: Record<string, string>;
  warn?: boolean;
}

/** What `me` (null: a guest) is told about an event that led from `before` to `after`. */
export function noticeOf(event: SpaceEvent, before: SpaceState, after: SpaceState, me: string | null): Notice | null {
  const { data } = event;
  const account = typeof data.account === "string" ? data.account : "";
  const by = typeof data.by === "string" ? data.by : "";
  const mine = me !== null && account === me;
  switch (event.event) {
    case "blocked_speaker":
      return { text: "room.noticeBlockedSpeaker", warn: true };
    case "muted":
      return mine ? muted(String(data.how), by === me ? "" : by) : null;
    case "setting_changed":
      return setting(data, after);
    case "speaker_added":
      return mine ? { text: "room.noticeSpeaker" } : null;
    case "speaker_removed":
      return mine && data.how === "revoked" ? { text: "room.noticeRevoked", warn: true } : null;
    case "cohost_added":
      if (data.how !== "accepted") return null;
      return mine ? { text: "room.noticeCohostYou" } : { text: "room.noticeCohost", name: account };
    case "cohost_removed":
      return mine && data.how === "dropped_by_host" ? { text: "room.noticeCohostLost", warn: true } : null;
    case "admin_changed":
      if (!account) return { text: "room.noticeHostless", warn: true };
      return mine ? { text: "room.noticeHostYou" } : { text: "room.noticeHost", name: account };
    case "away":
      return account === before.admin && !mine ? { text: "room.noticeHostAway" } : null;
    case "back":
      return account === after.admin && !mine && seatOf(before, account)?.away ? { text: "room.noticeHostBack" } : null;
    case "requested":
      return hosts(after.you.role) && !mine ? { text: "room.noticeRequest", name: account } : null;
    case "request_closed":
      if (!mine) return null;
      if (data.how === "rejected") return { text: "room.noticeRejected" };
      return data.how === "closed" ? { text: "room.noticeRequestsClosed" } : null;
    case "invite_closed":
      if (mine) return data.how === "withdrawn" || data.how === "expired" ? { text: "room.noticeInviteGone" } : null;
      return hosts(after.you.role) && data.how === "declined" ? { text: "room.noticeDeclined", name: account } : null;
    case "recording_stopped":
      return { text: "room.noticeRecordingStopped" };
    case "poll_opened":
      return by === me ? null : { text: "room.noticePoll", places: { question: String(data.question) } };
    case "post_shared":
      return by === me ? null : { text: "room.noticePinned", name: by };
    default:
      return null;
  }
}

function muted(how: string, by: string): Notice | null {
  if (how === "self") return null;
  if (how === "mic_closed") return { text: "room.noticeMicClosed", warn: true };
  if (!by) return { text: "room.noticeMuted", warn: true };
  return { text: how === "mute_all" ? "room.noticeMutedAll" : "room.noticeMutedBy", name: by, warn: true };
}

function setting(data: SpaceEvent["data"], after: SpaceState): Notice | null {
  if (data.mic_open === true) {
    return onStage(after.you.role) && !hosts(after.you.role) ? { text: "room.noticeMicOpen" } : null;
  }
  if (data.clips !== undefined) return { text: data.clips ? "room.noticeClipsOn" : "room.noticeClipsOff" };
  if (data.captions !== undefined) return { text: data.captions ? "room.noticeCaptionsOn" : "room.noticeCaptionsOff" };
  if (data.requests_open === false && !hosts(after.you.role)) return { text: "room.noticeRequestsClosed" };
  return null;
}
