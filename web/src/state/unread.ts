// How many notifications wait: for the badge. Asked when one comes back to the page, when a push message came, and now
// and then.
import { effect, signal } from "@preact/signals";
import { api, ok } from "@/api/client";
import { account } from "./session";

/** The server counts to 100. */
export const unread = signal(0);

const EVERY_MS = 60_000;

/** Asks now. What cannot be asked stays as it was. */
export async function refreshUnread(): Promise<void> {
  if (!account.peek()) return;
  try {
    unread.value = (await ok(api.GET("/api/v1/me/notifications", { params: { query: { limit: 1 } } }))).unread;
  } catch {
    // The badge is not worth a message.
  }
}

/** Keeps the number up to date from now on. */
export function watchUnread(): void {
  effect(() => {
    if (account.value) void refreshUnread();
    else unread.value = 0;
  });
  const ask = () => document.visibilityState === "visible" && void refreshUnread();
  setInterval(ask, EVERY_MS);
  document.addEventListener("visibilitychange", ask);
  navigator.serviceWorker?.addEventListener("message", (event) => event.data?.type === "pushed" && ask());
}
