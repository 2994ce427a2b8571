// Notifications in words and where they lead. Kinds are the server's (`GET /notification-kinds`).
import type { Schema } from "@/api/client";
import { type Key, t } from "@/i18n";

type Told = Schema<"NotificationView">;

/** What happened; `by` is a name. A kind that this page does not know yet is named as it is. */
export function noticeText(told: Told, by: string | null): string {
  const title = typeof told.data.title === "string" && told.data.title ? told.data.title : t("told.aSpace");
  return worded(`told.kind_${told.kind}`, told.kind, { by: by ?? t("told.somebody"), title });
}

/** The kind's name in the settings. */
export const kindLine = (kind: string) => worded(`told.setting_${kind}`, kind);

function worded(key: string, otherwise: string, places: Record<string, string> = {}): string {
  const text = t(key as Key, places);
  return text === key ? otherwise.replaceAll("_", " ") : text;
}

/** The view that it is about, or none. */
export function noticeLink({ kind, space }: Told): string | null {
  if (kind === "direct_message") return "/notifications?show=messages";
  if (kind === "webhook_disabled") return "/settings/developer";
  if (kind === "live_banned") return "/appeal";
  if (space === null) return null;
  if (kind === "replay_ready" || kind === "export_ready") return `/s/${space}/replay`;
  if (kind.startsWith("ticket_")) return `/s/${space}/tickets`;
  return `/s/${space}`;
}
