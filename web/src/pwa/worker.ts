// The service worker (src/sw.ts): in the built app only, and not before the page has loaded what it needs itself.
import { effect } from "@preact/signals";
import { account } from "@/state/session";
import { renewPush } from "./push";

export function registerWorker(go: (path: string) => void): void {
  if (!import.meta.env.PROD || !("serviceWorker" in navigator)) return;
  const register = () => void navigator.serviceWorker.register("/sw.js").catch(() => {});
  // A notification was clicked while this page was open: it shows what it is about.
  navigator.serviceWorker.addEventListener("message", (event) => {
    if (event.data?.type === "go" && typeof event.data.path === "string") go(event.data.path);
  });
  effect(() => {
    if (account.value) void renewPush(account.value.id).catch(() => {});
  });
  if (document.readyState === "complete") register();
  else addEventListener("load", register, { once: true });
}
