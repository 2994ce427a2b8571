// The service worker: the app when there is no network, files that never change from a cache, and push messages. It has
// no part in the API: nothing under /api is looked at, let alone kept.

import { type PushSubscriptionChangeEvent, pushed, renewed, shown } from "./pwa/push-events";

declare const self: ServiceWorkerGlobalScope;

const CACHE = "spaces-1";
/** Files of old versions go when there are more than these. */
const MOST_FILES = 200;

self.addEventListener("install", (event) => {
  event.waitUntil(keepShell().then(() => self.skipWaiting()));
});

self.addEventListener("activate", (event) => {
  event.waitUntil(
    (async () => {
      for (const name of await caches.keys()) if (name !== CACHE) await caches.delete(name);
      await self.clients.claim();
    })(),
  );
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== self.location.origin) return;
  if (url.pathname.startsWith("/assets/")) event.respondWith(kept(request));
  else if (request.mode === "navigate" && isView(url.pathname)) event.respondWith(page(request));
});

self.addEventListener("push", (event) => event.waitUntil(pushed(self, event.data)));
self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(shown(self, event.notification.data?.url));
});
self.addEventListener("pushsubscriptionchange", (event) => {
  event.waitUntil(renewed(self, event as PushSubscriptionChangeEvent));
});

const isView = (path: string) => !/^\/(api|i|reference|problems|sandbox-payments)(\/|$)/.test(path);

/** The page without its view, and what it loads at once. */
async function keepShell(): Promise<void> {
  const cache = await caches.open(CACHE);
  const answer = await fetch("/", { cache: "no-cache" });
  if (!answer.ok) return;
  const html = await answer.clone().text();
  await cache.put("/", answer);
  const files = [...html.matchAll(/(?:src|href)="(\/assets\/[^"]+|\/icon\.svg)"/g)].map((found) => found[1] ?? "");
  await cache.addAll([...new Set(files)]);
}

/** From the server; without it the shell, which says that there is no connection. */
async function page(request: Request): Promise<Response> {
  try {
    return await fetch(request);
  } catch (error) {
    const shell = await caches.match("/", { cacheName: CACHE });
    if (!shell) throw error;
    return shell;
  }
}

/** Names under /assets hold a hash of what is in them. */
async function kept(request: Request): Promise<Response> {
  const cache = await caches.open(CACHE);
  const known = await cache.match(request);
  if (known) return known;
  const answer = await fetch(request);
  if (answer.ok && answer.status === 200) {
    await cache.put(request, answer.clone());
    const files = await cache.keys();
    for (const old of files.slice(0, Math.max(0, files.length - MOST_FILES)))
      if (new URL(old.url).pathname !== "/") await cache.delete(old);
  }
  return answer;
}
