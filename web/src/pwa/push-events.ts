// What the service worker does with push messages. Apart from the worker itself, so that it can be tested.

/** The server's message (service/deliveries.py). */
interface Message {
  id: string;
  kind: string;
  text: string;
  url: string;
}

export interface PushSubscriptionChangeEvent extends ExtendableEvent {
  readonly newSubscription?: PushSubscription | null;
  readonly oldSubscription?: PushSubscription | null;
}

type Scope = Pick<ServiceWorkerGlobalScope, "registration" | "clients" | "location">;

/** Shows a notification, as every push message has to, and tells pages that are open. */
export async function pushed(scope: Scope, data: PushMessageData | null): Promise<void> {
  const message = read(data);
  await scope.registration.showNotification("Spaces", {
    body: message?.text ?? "",
    icon: "/icons/icon-192.png",
    badge: "/icons/icon-192.png",
    // The same thing told twice is one notification.
    tag: message?.id ?? "spaces",
    data: { url: message?.url ?? "/notifications" },
  });
  for (const page of await scope.clients.matchAll({ type: "window" })) page.postMessage({ type: "pushed" });
}

function read(data: PushMessageData | null): Message | null {
  try {
    return (data?.json() as Message | undefined) ?? null;
  } catch {
    return null;
  }
}

/** Opens what the notification is about: in a page of ours that is there, else in a new one. */
export async function shown(scope: Scope, to: unknown): Promise<void> {
  const url = new URL(typeof to === "string" ? to : "/notifications", scope.location.origin);
  const pages = await scope.clients.matchAll({ type: "window", includeUncontrolled: true });
  const there = pages.find((page) => page.url === url.href) ?? pages.find((page) => page.visibilityState === "visible");
  if (there && url.origin === scope.location.origin) {
    await there.focus();
    // A page that plays a Space goes on playing it: the app itself goes to the view.
    there.postMessage({ type: "go", path: url.pathname + url.search });
  } else await scope.clients.openWindow(url.href);
}

/** The browser exchanged the subscription: the server is told the new one. */
export async function renewed(scope: Scope, event: PushSubscriptionChangeEvent): Promise<void> {
  const key = event.oldSubscription?.options.applicationServerKey;
  const made =
    event.newSubscription ??
    (key && (await scope.registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key })));
  if (!made) return;
  const asked = await fetch("/api/v1/me/csrf", { cache: "no-store" });
  // Signed out meanwhile: the page tells the server at the next start.
  if (!asked.ok) return;
  const { token } = (await asked.json()) as { token: string };
  const { endpoint, keys } = made.toJSON();
  await fetch("/api/v1/me/push", {
    method: "POST",
    headers: { "content-type": "application/json", "x-csrf-token": token },
    body: JSON.stringify({ endpoint, keys }),
  });
}
