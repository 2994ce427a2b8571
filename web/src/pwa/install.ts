// Putting the app on the home screen, where the browser offers it (https://www.w3.org/TR/manifest-incubations/).
import { computed, signal } from "@preact/signals";

interface InstallPrompt extends Event {
  prompt(): Promise<{ outcome: "accepted" | "dismissed" }>;
}

const offer = signal<InstallPrompt | null>(null);
/** Whether `install` does something. */
export const installable = computed(() => offer.value !== null);

/** Listens for the browser's offer: early, it comes once. */
export function awaitOffer(): void {
  addEventListener("beforeinstallprompt", (event) => {
    event.preventDefault();
    offer.value = event as InstallPrompt;
  });
  addEventListener("appinstalled", () => {
    offer.value = null;
  });
}

/** Asks the person. An offer is good for one question. */
export async function install(): Promise<void> {
  const made = offer.value;
  offer.value = null;
  await made?.prompt();
}
