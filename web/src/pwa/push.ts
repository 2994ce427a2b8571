// Web push (https://www.w3.org/TR/push-api/): this browser's subscription and the server's list of them.
import { api, ok } from "@/api/client";

/** `unavailable`: the browser or the deployment has none, or the page runs without its service worker. */
export type PushState = "on" | "off" | "denied" | "unavailable";

async function worker(): Promise<ServiceWorkerRegistration | null> {
  if (!("serviceWorker" in navigator) || !("PushManager" in globalThis)) return null;
  return (await navigator.serviceWorker.getRegistration()) ?? null;
}

/** How it stands with this browser. */
export async function pushState(): Promise<PushState> {
  const registration = await worker();
  if (!registration) return "unavailable";
  const { public_key, data } = await ok(api.GET("/api/v1/me/push"));
  if (public_key === null) return "unavailable";
  if (Notification.permission === "denied") return "denied";
  const mine = await registration.pushManager.getSubscription();
  return mine && data.some((one) => one.endpoint === mine.endpoint) ? "on" : "off";
}

/** Asks the person and subscribes; false if they do not want to. Throws ApiError, DOMException. */
export async function subscribePush(account: string): Promise<boolean> {
  const registration = await worker();
  if (!registration || (await Notification.requestPermission()) !== "granted") return false;
  const { public_key } = await ok(api.GET("/api/v1/me/push"));
  if (public_key === null) return false;
  const made = await registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: public_key });
  await tell(made);
  localStorage.setItem(OWNER, account);
  return true;
}

async function tell(made: PushSubscription): Promise<void> {
  const { endpoint, keys } = made.toJSON();
  await ok(
    api.POST("/api/v1/me/push", {
      body: { endpoint: endpoint ?? "", keys: { p256dh: keys?.p256dh ?? "", auth: keys?.auth ?? "" } },
    }),
  );
}

/** This browser is told nothing more: here and on the server. */
export async function unsubscribePush(): Promise<void> {
  const mine = await (await worker())?.pushManager.getSubscription();
  localStorage.removeItem(OWNER);
  if (!mine) return;
  const { data } = await ok(api.GET("/api/v1/me/push"));
  for (const one of data.filter((each) => each.endpoint === mine.endpoint))
    await ok(api.DELETE("/api/v1/me/push/{id}", { params: { path: { id: one.id } } }));
  await mine.unsubscribe();
}

/** Whose notifications this browser shows: another account that signs in here has to ask for its own. */
const OWNER = "push-account";

/**
 * Browsers exchange subscriptions now and then, and a session may end while no page is open: at each start the server is
 * told what this browser has now.
 */
export async function renewPush(account: string): Promise<void> {
  if (localStorage.getItem(OWNER) !== account) return;
  const mine = await (await worker())?.pushManager.getSubscription();
  if (mine) await tell(mine);
}
