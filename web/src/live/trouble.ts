// What a failure to get the microphone means to somebody who has never heard of exceptions.

import { type Key, t } from "@/i18n";

const KNOWN: Record<string, Key> = {
  NotAllowedError: "live.microphone.NotAllowedError",
  NotFoundError: "live.microphone.NotFoundError",
  NotReadableError: "live.microphone.NotReadableError",
  OverconstrainedError: "live.microphone.OverconstrainedError",
  missing: "live.microphone.missing",
  encoder: "live.microphone.encoder",
};

export function microphoneTrouble(error: unknown): string {
  const { name = "", message = "" } = (error ?? {}) as { name?: string; message?: string };
  const known = KNOWN[name];
  return known ? t(known) : t("live.microphone.other", { reason: message || String(error) });
}
